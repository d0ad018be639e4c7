import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Context, integrityEvents, streamOf } from '@millrace/contracts';
import { DamagedKind } from '@millrace/contracts/common';
import { type DocumentStore, defineCollection, type Page } from '@millrace/documents';
import { draft, type Gap } from '@millrace/events';

/** Something stored that is no longer what was stored. */
export interface Damage {
  /** A stream is damaged only as long as it takes to refill it. */
  readonly kind: 'blob' | 'documents' | 'stream';
  /** The digest of a blob; the name of a stream; empty for the documents. */
  readonly what: string;
  readonly reason: string;
  readonly foundAtMs: number;
  /** 0 while it is damaged. */
  readonly repairedAtMs: number;
}

/** The collection of damages; every service has it. */
export const damagesSpec = defineCollection({
  name: 'damages',
  fields: {
    open: (damage: Damage) => damage.repairedAtMs === 0,
    foundAtMs: (damage: Damage) => damage.foundAtMs,
  },
  indexes: [['open', 'foundAtMs']],
});

/** Damage does not stop at projects. */
const project = 'default';

type Lasting = Exclude<Damage['kind'], 'stream'>;

/** What is known of the damage in a service's storage. Every change is told as an event. */
export interface Damages {
  /** Remembers damage; says nothing new when it is known. */
  found(kind: Lasting, what: string, reason: string): Promise<void>;
  /** Says that it is whole again; does nothing when no damage is known. */
  repaired(kind: Lasting, what: string): Promise<void>;
  /** Tells that the stream had lost events and has them again. */
  refilled(gap: Omit<Gap, 'context'>): Promise<void>;
  isOpen(kind: Lasting, what: string): Promise<boolean>;
  open(page?: { readonly limit: number; readonly after?: string }): Promise<Page<Damage>>;
}

export function createDamages(store: DocumentStore, context: Context, now: () => number): Damages {
  const damages = store.collection(damagesSpec);
  const { damageFound, damageRepaired, streamRefilled } = integrityEvents(context);
  const resource = `projects/${project}/storage/${context}`;
  const idOf = (kind: Damage['kind'], what: string) => `${kind}:${what}`;
  const event = (damage: Damage) => ({
    project,
    resource,
    timeMs: damage.repairedAtMs || damage.foundAtMs,
    data: { damage: toMessage(damage) },
  });
  const isOpen = async (kind: Lasting, what: string) =>
    (await damages.get(idOf(kind, what)))?.doc.repairedAtMs === 0;
  return {
    isOpen,
    async found(kind, what, reason) {
      await damages.upsert(idOf(kind, what), (known) => {
        if (known?.repairedAtMs === 0) return undefined;
        const doc: Damage = { kind, what, reason, foundAtMs: now(), repairedAtMs: 0 };
        return { doc, emit: [draft(damageFound, event(doc))] };
      });
    },
    async repaired(kind, what) {
      if (!(await isOpen(kind, what))) return;
      await damages.change(idOf(kind, what), (known) => {
        if (known.repairedAtMs !== 0) return undefined;
        const doc: Damage = { ...known, repairedAtMs: now() };
        return { doc, emit: [draft(damageRepaired, event(doc))] };
      });
    },
    async refilled({ reason, published }) {
      const stream = streamOf(context).name;
      const timeMs = now();
      const data = { stream, reason, publishedEvents: BigInt(published) };
      await damages.upsert(idOf('stream', stream), () => ({
        doc: { kind: 'stream', what: stream, reason, foundAtMs: timeMs, repairedAtMs: timeMs },
        emit: [draft(streamRefilled, { project, resource, timeMs, data })],
      }));
    },
    open: async (page = { limit: 100 }) =>
      damages.find({ where: { open: true }, orderBy: [{ field: 'foundAtMs' }], ...page }),
  };
}

const kinds = {
  blob: DamagedKind.BLOB,
  documents: DamagedKind.DOCUMENTS,
  stream: DamagedKind.UNSPECIFIED,
} as const;

/** A damage as the contract says it. */
export function toMessage(damage: Damage) {
  return {
    kind: kinds[damage.kind],
    what: damage.what,
    reason: damage.reason,
    foundTime: timestampFromMs(damage.foundAtMs),
    ...(damage.repairedAtMs > 0 ? { repairedTime: timestampFromMs(damage.repairedAtMs) } : {}),
  };
}
