import type { Digest } from '@millrace/blobs';
import type { Versioned } from '@millrace/documents';
import { allocate, allocated, newLine, requireOpen } from '../domain/line.ts';
import type { Wording } from '../domain/model.ts';
import {
  type Findings,
  type ModelVersion,
  type OnnxDetails,
  type Origin,
  validated,
} from '../domain/version.ts';
import { announce } from '../message/announce.ts';
import type { Registry } from '../registry.ts';
import { type ModelRef, modelKey, versionKey } from '../store/keys.ts';
import { bury } from './deletion.ts';

/** Bytes that are stored, and what is said of them. */
export interface Registration extends Wording, Origin {
  readonly digest: string;
  readonly sizeBytes: number;
}

/**
 * Registers stored bytes as the next version: takes a number, stores the version as PENDING, checks its bytes. `key` is
 * the same at every try of one call, so that a try after a crash goes on where the one before ended, with the same number.
 */
export async function register(
  registry: Registry,
  ref: ModelRef,
  registration: Registration,
  key: string,
): Promise<Versioned<ModelVersion>> {
  const { store } = registry;
  const fresh = newLine(ref.project, ref.model);
  const line = await store.lines.upsert(modelKey(ref), (now) => {
    const doc = allocate(now ?? fresh, key);
    return doc && { doc };
  });
  const version = allocated(line?.doc ?? fresh, key) ?? 0;
  const pending: ModelVersion = {
    ...registration,
    ...ref,
    version,
    state: 'PENDING',
    reasons: [],
    signature: null,
    onnx: null,
  };
  const emit = announce.versionRegistered(pending, registry.now());
  const stored = await store.versions.insert(versionKey(pending), pending, { requestId: key, emit });
  return stored.doc.state === 'PENDING' ? validate(registry, stored) : stored;
}

/**
 * Checks the bytes of a PENDING version and makes it READY or REJECTED. WRONG_STATE, and the version is gone, when its model
 * was deleted between its number and its record: that deletion may not have seen it.
 */
export async function validate(
  registry: Registry,
  pending: Versioned<ModelVersion>,
): Promise<Versioned<ModelVersion>> {
  const line = await registry.store.line(pending.doc);
  if (!line.open) await bury(registry, pending);
  requireOpen(line);
  const findings = await findingsOf(registry, pending.doc);
  return registry.store.versions.change(pending.id, (now) => {
    const doc = validated(now, findings);
    return doc && { doc, emit: announce.versionValidated(doc, registry.now()) };
  });
}

async function findingsOf(registry: Registry, version: ModelVersion): Promise<Findings> {
  const { digest, sizeBytes } = version;
  const { refusals, inspection, fault } = await registry.examiner.examine(digest as Digest, sizeBytes);
  if (fault !== undefined)
    registry.log.error({ err: fault, digest }, 'a file was refused because its examination failed');
  if (refusals.length > 0 || !inspection)
    return { reasons: refusals.map(({ code, message }) => `${code}: ${message}`) };
  const { inputs, outputs, ...rest } = inspection;
  return { signature: { inputs, outputs }, onnx: clipped(rest) };
}

/** A file may call things what it likes; this much of it is kept. */
function clipped(onnx: OnnxDetails): OnnxDetails {
  return {
    ...onnx,
    producer: onnx.producer.slice(0, 256),
    opsets: onnx.opsets.slice(0, 50).map((set) => ({ ...set, domain: set.domain.slice(0, 256) })),
    operators: onnx.operators.slice(0, 500).map((name) => name.slice(0, 256)),
    metadata: onnx.metadata
      .slice(0, 100)
      .map(({ key, value }) => ({ key: key.slice(0, 256), value: value.slice(0, 8192) })),
  };
}
