/** Formats that are told apart by their first bytes, so that a refusal can name them. */
const signatures: readonly (readonly [offset: number, bytes: readonly number[], name: string])[] = [
  [0, [0x50, 0x4b, 0x03, 0x04], 'a ZIP archive (as PyTorch .pt, Keras .keras and NumPy .npz files are)'],
  [0, [0x50, 0x4b, 0x05, 0x06], 'an empty ZIP archive'],
  [0, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a], 'an HDF5 file (as Keras .h5 files are)'],
  [0, [0x1f, 0x8b], 'gzip data'],
  [0, [0x28, 0xb5, 0x2f, 0xfd], 'Zstandard data'],
  [0, [0x42, 0x5a, 0x68], 'bzip2 data'],
  [0, [0xfd, 0x37, 0x7a, 0x58, 0x5a], 'xz data'],
  [0, [0x78, 0x01], 'zlib data (as compressed joblib files are)'],
  [0, [0x78, 0x5e], 'zlib data (as compressed joblib files are)'],
  [0, [0x78, 0x9c], 'zlib data (as compressed joblib files are)'],
  [0, [0x78, 0xda], 'zlib data (as compressed joblib files are)'],
  [0, [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], 'a NumPy array'],
  [0, [0x47, 0x47, 0x55, 0x46], 'a GGUF file'],
  [0, [0x50, 0x41, 0x52, 0x31], 'a Parquet file'],
  [0, [0x7f, 0x45, 0x4c, 0x46], 'an ELF program'],
  [0, [0x4d, 0x5a], 'a Windows program'],
  [0, [0x23, 0x21], 'a script'],
  [4, [0x54, 0x46, 0x4c, 0x33], 'a TensorFlow Lite model'],
  [4, [0x4f, 0x52, 0x54, 0x4d], 'an ONNX Runtime .ort model; register the .onnx file it was made from'],
  [257, [0x75, 0x73, 0x74, 0x61, 0x72], 'a tar archive'],
];

const pickle = 'a Python pickle, which runs code when it is loaded';

/** What a file is when it is a well-known format other than ONNX; undefined when it is none of these. */
export function foreignFormat(bytes: Uint8Array): string | undefined {
  for (const [offset, magic, name] of signatures)
    if (magic.every((byte, i) => bytes[offset + i] === byte)) return name;
  // Protocols 2 to 5 begin with PROTO and the number; protocols 0 and 1 are recognized by what they import first.
  if (bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 0) <= 5) return pickle;
  const head = String.fromCharCode(...bytes.subarray(0, 256));
  if (/^(?:\(?c|\(i)[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n/.test(head) || /^\(?[ld]p\d+\n/.test(head))
    return pickle;
  if (/^.{7}\0\{"/s.test(head)) return 'a safetensors file, which has weights and no graph';
  if (/^\s*[{[]["\s]/.test(head)) return 'JSON text';
  if (/^\s*<[?!a-zA-Z]/.test(head)) return 'XML or HTML text';
  return undefined;
}
