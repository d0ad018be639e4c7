import type { Digest } from '@millrace/blobs';
import type { AnyCollectionSpec, CollectionSpec, DocumentStore, Page } from '@millrace/documents';

/** Which blobs the documents of a collection refer to. */
export interface BlobReferences {
  readonly spec: AnyCollectionSpec;
  /** The fields of an index of fields that never change, so that no document is passed over while it is read. */
  readonly order: readonly string[];
  digestsOf(doc: unknown): Iterable<string>;
}

/** Says which blobs the documents of a collection refer to; an empty text refers to none. */
export function refersTo<T, F extends string>(
  spec: CollectionSpec<T, F>,
  order: readonly NoInfer<F>[],
  digestsOf: (doc: T) => Iterable<string>,
): BlobReferences {
  return { spec, order, digestsOf: (doc) => digestsOf(doc as T) };
}

/** Every reference to a blob that stands in the documents, as often as it stands there. */
export async function* referencedBlobs(
  documents: Pick<DocumentStore, 'collection'>,
  references: readonly BlobReferences[],
  signal?: AbortSignal,
): AsyncGenerator<Digest> {
  for (const { spec, order, digestsOf } of references) {
    const collection = documents.collection(spec as AnyCollectionSpec & CollectionSpec<unknown, string>);
    const orderBy = order.map((field) => ({ field }));
    let after: string | undefined;
    do {
      signal?.throwIfAborted();
      const next = after === undefined ? {} : { after };
      const page: Page<unknown> = await collection.find({ orderBy, limit: 500, ...next });
      for (const { doc } of page.items)
        for (const digest of digestsOf(doc)) if (digest !== '') yield digest as Digest;
      after = page.next;
    } while (after !== undefined);
  }
}
