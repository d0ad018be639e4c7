import { resourceName } from '@millrace/contracts/names';

/**
 * The full name of a resource that a field refers to. A full name stays; `models/m/versions/3` is completed with the
 * project; a bare name is the last part where the kind of resource lies directly in a project.
 */
export function resourceOf(pattern: string, text: string, project: string): string {
  if (text === '' || text.startsWith('projects/')) return text;
  const [, , collection = '', ...rest] = pattern.split('/');
  if (text.startsWith(`${collection}/`)) return `projects/${project}/${text}`;
  if (rest.length !== 1) return text;
  const last = rest[0]!.slice(1, -1);
  return resourceName(pattern as string).format({ project, [last]: text } as never);
}
