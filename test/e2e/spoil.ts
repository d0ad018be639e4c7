import { clone, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { type ReflectList, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { extremeNumbers, hostileTexts } from './hostile.ts';

type Spoil = () => void;

/** A copy of a good request in which `count` fields are spoilt; `pick` chooses which, and how. */
export function spoil(
  desc: DescMessage,
  request: Message,
  count: number,
  pick: (below: number) => number,
): Message {
  const copy = clone(desc, request);
  for (let i = 0; i < count; i++) {
    const ways = [...waysOf(reflect(desc, copy), pick)];
    ways[pick(ways.length)]?.();
  }
  return copy;
}

/** Every way in which one field of a message, or of a message in it, can be spoilt. */
function* waysOf(target: ReflectMessage, pick: (below: number) => number): Generator<Spoil> {
  for (const field of target.fields) {
    if (!target.isSet(field)) {
      if (field.fieldKind === 'scalar') yield () => target.set(field, wrong(field.scalar, pick));
      continue;
    }
    yield () => target.clear(field);
    if (field.fieldKind === 'scalar') yield () => target.set(field, wrong(field.scalar, pick));
    else if (field.fieldKind === 'enum') yield () => target.set(field, [0, 99, -1, 2 ** 31 - 1][pick(4)]);
    else if (field.fieldKind === 'message') yield* waysOf(target.get(field), pick);
    else if (field.fieldKind === 'list') {
      const list: ReflectList = target.get(field);
      const [first] = list;
      yield () => repeat(list, first, 1);
      yield () => repeat(list, first, 3000);
      if (field.listKind === 'scalar') yield () => list.set(pick(list.size), wrong(field.scalar, pick));
      if (field.listKind === 'message') for (const one of list) yield* waysOf(one as ReflectMessage, pick);
    }
  }
}

function repeat(list: ReflectList, item: unknown, times: number): void {
  for (let i = 0; i < times; i++) list.add(item);
}

const edges = { signed: [-1n, 0n, 2n ** 63n - 1n, -(2n ** 63n)], unsigned: [0n, 1n, 2n ** 64n - 1n] };

function wrong(type: ScalarType, pick: (below: number) => number): unknown {
  switch (type) {
    case ScalarType.STRING:
      return hostileTexts[pick(hostileTexts.length)];
    case ScalarType.BYTES:
      return Uint8Array.from({ length: pick(300) }, () => pick(256));
    case ScalarType.BOOL:
      return pick(2) === 1;
    case ScalarType.DOUBLE:
      return extremeNumbers[pick(extremeNumbers.length)];
    case ScalarType.FLOAT:
      return [Number.NaN, Number.POSITIVE_INFINITY, -3.4e38, 0][pick(4)];
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return edges.signed[pick(4)];
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return edges.unsigned[pick(3)];
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return [0, 1, 2 ** 32 - 1][pick(3)];
    default:
      return [-1, 0, 2 ** 31 - 1, -(2 ** 31)][pick(4)];
  }
}
