import { type CodedError, invalidField } from '@millrace/errors';
import { ledgerSpec } from './ledger.ts';
import type { AnyCollectionSpec, DocumentStore } from './port.ts';
import { checkSpecs } from './spec.ts';

export interface OpenOptions {
  /**
   * `sqlite:<file>`, made if it does not exist, `sqlite::memory:`, which keeps nothing, or `mongodb://…` / `mongodb+srv://…` with the database as its path
   * (default `millrace`).
   */
  readonly url: string;
  /** Every collection that will be used; new fields and indexes are filled for stored documents at opening. */
  readonly collections: readonly AnyCollectionSpec[];
  /** What messages call it. @default the document store */
  readonly name?: string;
  /**
   * Called once when the disk failed to confirm a write. The store takes no more writes; the process should end, for
   * only a restart tells what is on the disk.
   */
  readonly onFatal?: (error: CodedError) => void;
  /** The clock of the documents' times and, in SQLite, of leases. @default Date.now */
  readonly now?: () => number;
}

/**
 * Opens a document store and brings its layout up to date. Throws STORE_LAYOUT_NEWER for data of a newer release,
 * UNAVAILABLE when the database cannot be reached, INVALID_FIELD for a wrong URL.
 */
export async function openDocuments(options: OpenOptions): Promise<DocumentStore> {
  const specs = [...options.collections, ledgerSpec];
  checkSpecs(specs);
  const { url } = options;
  // Adapters are loaded when they are used: a machine that runs on SQLite never loads the MongoDB driver.
  if (url.startsWith('sqlite:') && url.length > 'sqlite:'.length) {
    const { openSqlite } = await import('./sqlite/open.ts');
    return openSqlite(url.slice('sqlite:'.length), specs, options);
  }
  if (/^mongodb(\+srv)?:\/\//.test(url)) {
    const { openMongo } = await import('./mongo/open.ts');
    return openMongo(url, specs, options);
  }
  const scheme = url.split(':')[0];
  throw invalidField(
    'DOCUMENTS_URL',
    `'${scheme}:' is not known`,
    'sqlite:<file> or mongodb://<host>/<database>',
  );
}
