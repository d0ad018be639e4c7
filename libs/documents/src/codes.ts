import { defineCodes } from '@millrace/errors';

/** The codes that only a document store answers with. */
export const documentCodes = defineCodes({
  STORE_CORRUPT: { kind: 'data_loss', meaning: 'The database file is damaged; restore it from a backup.' },
  STORE_LAYOUT_NEWER: {
    kind: 'failed_precondition',
    meaning: 'The stored data was written by a newer release, which this one cannot read.',
  },
});
