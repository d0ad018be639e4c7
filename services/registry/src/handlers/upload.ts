import { create } from '@bufbuild/protobuf';
import type { Digest } from '@millrace/blobs';
import { names } from '@millrace/contracts';
import {
  RegistryService,
  type UploadModelVersionHeader,
  UploadModelVersionHeaderSchema,
  type UploadModelVersionRequest,
} from '@millrace/contracts/registry';
import { invalidField } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { uniqueTags } from '../domain/tag.ts';
import { register } from '../flows/registration.ts';
import { versionMessage } from '../message/resources.ts';
import type { Registry } from '../registry.ts';
import { mutating } from './mutating.ts';
import { originOf } from './request.ts';

/**
 * Takes an upload: the header is checked before a byte is stored, the bytes become durable, then the version is registered. The
 * digest of the bytes is part of what a request id stands for, so the same id with other bytes is refused.
 */
export function uploadHandlers(
  registry: Registry,
): Pick<Handlers<typeof RegistryService>, 'uploadModelVersion'> {
  const { store, blobs, maxModelBytes } = registry;

  return {
    async uploadModelVersion(requests, context) {
      const messages = requests[Symbol.asyncIterator]();
      const header = await firstMessage(messages);
      const ref = names.model.parse(header.parent, 'header.parent');
      const origin = originOf(ref.project, header.modelVersion);
      await store.model(ref);
      const blob = await blobs.put(chunksOf(messages), {
        maxBytes: maxModelBytes,
        signal: context.signal,
        ...(header.digest ? { expect: header.digest as Digest } : {}),
      });
      const settled = create(UploadModelVersionHeaderSchema, { ...header, digest: blob.digest });
      const method = { ...RegistryService.method.uploadModelVersion, input: UploadModelVersionHeaderSchema };
      return mutating(registry, method, ref.project, settled, async ({ id }) => {
        const { description = '', tags = [] } = header.modelVersion ?? {};
        const registration = { description, tags: uniqueTags(tags), ...origin, ...blob };
        const stored = await register(registry, ref, registration, id);
        return { modelVersion: versionMessage(stored, await store.line(ref)) };
      });
    },
  };
}

async function firstMessage(
  messages: AsyncIterator<UploadModelVersionRequest>,
): Promise<UploadModelVersionHeader> {
  const { value, done } = await messages.next();
  if (!done && value.payload.case === 'header') return value.payload.value;
  throw invalidField(
    'header',
    done ? 'nothing was sent' : 'the first message has none',
    'the header first, then chunks',
  );
}

async function* chunksOf(messages: AsyncIterator<UploadModelVersionRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { value, done } = await messages.next();
    if (done) return;
    if (value.payload.case !== 'chunk')
      throw invalidField('chunk', 'a message after the header has none', 'one header, then only chunks');
    yield value.payload.value;
  }
}
