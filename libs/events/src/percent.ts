const encoder = new TextEncoder();

/**
 * Encodes a CloudEvents attribute as a header's value: space, `"`, `%` and everything outside U+0021 to U+007E
 * become `%XX` by UTF-8 byte, in upper case. Lone surrogates, which UTF-8 cannot carry, become U+FFFD.
 * Source: CloudEvents NATS protocol binding, section 3.1.3.
 */
export function encodeHeaderValue(text: string): string {
  return text.toWellFormed().replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) => {
    let escaped = '';
    for (const byte of encoder.encode(character))
      escaped += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    return escaped;
  });
}

/**
 * Decodes a header's value: removes double quotes around it, then one round of percent-decoding. Lower-case and
 * needless escapes are accepted; bytes that are not UTF-8 are refused with a URIError.
 */
export function decodeHeaderValue(value: string): string {
  const quoted = /^"(.*)"$/s.exec(value);
  return decodeURIComponent(quoted ? quoted[1]!.replace(/\\(.)/gs, '$1') : value);
}
