import { invalidField } from '@millrace/errors';

/** The version an etag stands for; undefined when none is given. INVALID_FIELD naming `field` for what is no etag. */
export function versionOfEtag(etag: string, field = 'etag'): number | undefined {
  if (etag === '') return undefined;
  if (/^[1-9]\d{0,14}$/.test(etag)) return Number(etag);
  throw invalidField(field, `${JSON.stringify(etag)} is no etag`, 'the etag of the resource as it was read');
}

/** Options of a write that is conditional when an etag was given. */
export function expectOf(etag: string, field = 'etag'): { readonly expect?: number } {
  const expect = versionOfEtag(etag, field);
  return expect === undefined ? {} : { expect };
}

/** The page a list request asks for: 0 means 100 items, more than 1,000 means 1,000. */
export function pageOf(request: { readonly pageSize: number; readonly pageToken: string }) {
  return {
    limit: Math.min(request.pageSize || 100, 1000),
    ...(request.pageToken ? { after: request.pageToken } : {}),
  };
}
