import { invalidField } from '@millrace/errors';

/** Values of a resource name's placeholders, decoded. */
export type Segments<K extends string> = { readonly [P in K]: string };

/** One kind of resource name. */
export interface ResourceName<K extends string> {
  /** `projects/{project}/runs/{run}` */
  readonly pattern: string;
  format(segments: Segments<K>): string;
  /** Takes a name apart; INVALID_FIELD naming `field` when it is not one. */
  parse(name: string, field?: string): Segments<K>;
}

type Placeholders<P extends string> = P extends `${string}{${infer K}}${infer Rest}`
  ? K | Placeholders<Rest>
  : never;

const projectShape = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a text is a project's name: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, at most 63 characters. */
export function isProject(text: string): boolean {
  return projectShape.test(text);
}

/**
 * Declares a kind of resource name. User-chosen segments are percent-encoded in the name and decoded by `parse`, so
 * that a `/` in a model's name does not end its segment. Source: the resource-name conventions of google.aip.dev/122.
 */
export function resourceName<const P extends string>(pattern: P): ResourceName<Placeholders<P>> {
  type K = Placeholders<P>;
  const parts = pattern.split('/');
  return {
    pattern,
    format: (segments) =>
      parts
        .map((part) => (part.startsWith('{') ? encodeSegment(segments[part.slice(1, -1) as K]) : part))
        .join('/'),
    parse: (name, field = 'name') => {
      const found = matchName(parts, name);
      if (!found) throw invalidField(field, `${JSON.stringify(clip(name))} is not a resource name`, pattern);
      return found as Segments<K>;
    },
  };
}

/** Room for four segments of 256 characters that are percent-encoded as nine or twelve each. */
const maxLength = 12_288;

/** Takes a name apart by the parts of its pattern; undefined when it does not fit. */
export function matchName(parts: readonly string[], name: string): Record<string, string> | undefined {
  const segments = name.split('/');
  if (segments.length !== parts.length || name.length > maxLength) return undefined;
  const found: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const segment = segments[i] ?? '';
    if (!part.startsWith('{')) {
      if (segment !== part) return undefined;
      continue;
    }
    const key = part.slice(1, -1);
    const value = decodeSegment(segment);
    if (value === undefined || (key === 'project' && !isProject(value))) return undefined;
    found[key] = value;
  }
  return found;
}

function encodeSegment(value: string): string {
  if (value === '.' || value === '..') return value.replaceAll('.', '%2E');
  return encodeURIComponent(value).replaceAll('%3A', ':');
}

function decodeSegment(segment: string): string | undefined {
  try {
    const value = decodeURIComponent(segment);
    return value !== '' && hasAtMost(value, 256) && !/\p{Cc}/u.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a text has at most so many characters; a character outside the BMP is one, not two. */
function hasAtMost(text: string, max: number): boolean {
  return text.length <= max || (text.length <= 2 * max && [...text].length <= max);
}

function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** The resource names of the platform. */
export const names = {
  project: resourceName('projects/{project}'),
  experiment: resourceName('projects/{project}/experiments/{experiment}'),
  run: resourceName('projects/{project}/runs/{run}'),
  model: resourceName('projects/{project}/models/{model}'),
  modelVersion: resourceName('projects/{project}/models/{model}/versions/{version}'),
  alias: resourceName('projects/{project}/models/{model}/aliases/{alias}'),
  gate: resourceName('projects/{project}/models/{model}/gates/{gate}'),
  gateDecision: resourceName('projects/{project}/models/{model}/decisions/{decision}'),
  evaluation: resourceName('projects/{project}/models/{model}/versions/{version}/evaluations/{evaluation}'),
  entity: resourceName('projects/{project}/entities/{entity}'),
  source: resourceName('projects/{project}/sources/{source}'),
  featureView: resourceName('projects/{project}/featureViews/{view}'),
  trainingSet: resourceName('projects/{project}/trainingSets/{set}'),
  materialization: resourceName('projects/{project}/materializations/{materialization}'),
  pipeline: resourceName('projects/{project}/pipelines/{pipeline}'),
  pipelineVersion: resourceName('projects/{project}/pipelines/{pipeline}/versions/{version}'),
  pipelineRun: resourceName('projects/{project}/pipelineRuns/{run}'),
  task: resourceName('projects/{project}/pipelineRuns/{run}/tasks/{task}'),
  schedule: resourceName('projects/{project}/schedules/{schedule}'),
  trigger: resourceName('projects/{project}/triggers/{trigger}'),
  deployment: resourceName('projects/{project}/deployments/{deployment}'),
  monitor: resourceName('projects/{project}/monitors/{monitor}'),
  baseline: resourceName('projects/{project}/baselines/{baseline}'),
  report: resourceName('projects/{project}/monitors/{monitor}/reports/{report}'),
  alertRule: resourceName('projects/{project}/monitors/{monitor}/alertRules/{rule}'),
  alert: resourceName('projects/{project}/monitors/{monitor}/alerts/{alert}'),
} as const;
