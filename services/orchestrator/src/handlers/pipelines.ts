import type { Digest } from '@millrace/blobs';
import { names } from '@millrace/contracts';
import {
  ApplyPipelineRequestSchema,
  ApplyPipelineResponseSchema,
  PipelineService,
} from '@millrace/contracts/pipelines';
import { invalidField, invalidFields, notFound } from '@millrace/errors';
import { implement } from '@millrace/rpc';
import { expectOf, pageOf } from '@millrace/service';
import { specOf } from '../convert/spec-in.ts';
import { pipelineMessage, versionMessage } from '../convert/spec-out.ts';
import { canonicalJson } from '../domain/json.ts';
import { validateSpec } from '../domain/validate.ts';
import { sha256 } from '../engine/work.ts';
import { type Edge, markOf, once } from './edge.ts';

/** The RPCs of pipelines and their versions. */
export function pipelineHandlers(edge: Edge) {
  const { store, blobs, expressions, now } = edge;

  async function keepFile(file: { content: Uint8Array; digest: string }, field: string): Promise<string> {
    if (file.content.length > 0 || file.digest === '') {
      const { digest } = await blobs.put(file.content);
      if (file.digest && file.digest !== digest)
        throw invalidField(`${field}.digest`, 'it is not the digest of content', digest);
      return digest;
    }
    if (!(await blobs.touch(file.digest as Digest)))
      throw invalidField(
        `${field}.digest`,
        `${file.digest} is not stored here`,
        'content, or a known digest',
      );
    return file.digest;
  }

  return implement(PipelineService, {
    async applyPipeline(request, context) {
      const { pipeline, validateOnly } = request;
      const { project, pipeline: name } = names.pipeline.parse(pipeline?.name ?? '', 'pipeline.name');
      if (!pipeline?.spec) throw invalidField('pipeline.spec', 'it is not set', 'a specification');
      const spec = await specOf(pipeline.spec, 'pipeline.spec', keepFile);
      const violations = validateSpec(spec, expressions);
      if (violations.length > 0)
        throw invalidFields(
          violations.map((v) => ({ ...v, field: v.field ? `pipeline.spec.${v.field}` : 'pipeline.spec' })),
        );
      const wanted = {
        project,
        name,
        description: pipeline.description,
        spec,
        specDigest: `sha256:${sha256(canonicalJson(spec))}`,
      };
      if (validateOnly) {
        const present = await store.getVersion(project, name, 0);
        const version = (present?.version ?? 0) + (present?.specDigest === wanted.specDigest ? 0 : 1);
        const at = now();
        const would = { ...wanted, version, createdAtMs: present?.createdAtMs ?? at, updatedAtMs: at };
        return { pipeline: pipelineMessage(would, 0), changed: version !== present?.version };
      }
      const schemas = { input: ApplyPipelineRequestSchema, output: ApplyPipelineResponseSchema };
      return once(edge, context, project, schemas, request, async (mutation) => {
        const { pipeline: applied, changed } = await store.applyPipeline(wanted, {
          ...expectOf(pipeline.etag, 'pipeline.etag'),
          ...markOf(mutation),
        });
        return { pipeline: pipelineMessage(applied.doc, applied.version), changed };
      });
    },

    async getPipeline({ name }) {
      const { project, pipeline } = names.pipeline.parse(name);
      const found = await store.pipelines.get(`${project}/${pipeline}`);
      if (!found) throw notFound(name);
      return { pipeline: pipelineMessage(found.doc, found.version) };
    },

    async listPipelines(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const page = await store.pipelines.find({
        where: { project },
        orderBy: [{ field: 'name' }],
        ...pageOf(request),
      });
      return {
        pipelines: page.items.map((item) => pipelineMessage(item.doc, item.version)),
        nextPageToken: page.next ?? '',
      };
    },

    async getPipelineVersion({ name }) {
      const { project, pipeline, version } = names.pipelineVersion.parse(name);
      if (!/^[1-9]\d{0,8}$/.test(version))
        throw invalidField('name', `${JSON.stringify(version)} is no version`, '1, 2, 3 …');
      const found = await store.getVersion(project, pipeline, Number(version));
      if (!found) throw notFound(name);
      return { pipelineVersion: versionMessage(found) };
    },

    async listPipelineVersions(request) {
      const { project, pipeline } = names.pipeline.parse(request.parent, 'parent');
      const newest = await store.pipelines.get(`${project}/${pipeline}`);
      if (!newest) throw notFound(request.parent);
      const { pageToken } = request;
      if (pageToken && !/^[1-9]\d{0,8}$/.test(pageToken))
        throw invalidField(
          'page_token',
          'it is no token of this list',
          '`next_page_token` of the page before',
        );
      // The newest version stands in the pipeline itself, those before it in documents of their own. A token is the
      // last version of its page.
      const below = pageToken ? Number(pageToken) : newest.doc.version + 1;
      const first = newest.doc.version < below ? [newest.doc] : [];
      const { limit } = pageOf({ ...request, pageToken: '' });
      const page = await store.versions.find({
        where: { pipeline: `${project}/${pipeline}`, version: { lt: Math.min(below, newest.doc.version) } },
        orderBy: [{ field: 'version', direction: 'desc' }],
        limit,
      });
      const all = [...first, ...page.items.map((item) => item.doc)];
      const shown = all.slice(0, limit);
      const last = shown.at(-1)?.version ?? 1;
      return { pipelineVersions: shown.map(versionMessage), nextPageToken: last > 1 ? String(last) : '' };
    },
  });
}
