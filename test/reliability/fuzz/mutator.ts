// Changes bytes as damage, programs gone wrong and attackers do. All choices come from `random`.
export type Random = (below: number) => number;

const numbers: readonly number[] = [
  0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 19, 20, 31, 32, 33, 47, 48, 63, 64, 100, 127, 128, 129, 255,
];
const words: readonly number[] = [
  0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x10_0000, 0x7fff_ffff,
  0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];
const pieces: readonly string[] = [
  "__proto__",
  "constructor",
  "prototype",
  "../../x",
  "\u0000",
  "null",
  "1e999",
  "-0",
  '{"a":',
  "[[[[",
  "\ud83d\ude00",
  "\ufffd",
  "9007199254740993",
  "NaN",
  '","',
  "}",
  "]",
  " ",
  ".0",
  "e0",
];

const marks: Uint8Array = Buffer.from(",:[]{}");
const spellings: readonly string[] = [" ", ".0", "e0", "\n"];

type Change = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const changes: readonly Change[] = [
  (bytes, random) => {
    const at = random(bytes.length);
    bytes[at]! ^= 1 << random(8);
    return bytes;
  },
  (bytes, random) => {
    bytes[random(bytes.length)] = numbers[random(numbers.length)]!;
    return bytes;
  },
  (bytes, random) => {
    const at = random(bytes.length);
    bytes[at] = bytes[at]! + (random(2) === 0 ? 1 : 255);
    return bytes;
  },
  (bytes, random) => {
    const at = random(bytes.length);
    const word = words[random(words.length)]!;
    const isLittle = random(2) === 0;
    const width = [2, 4, 8][random(3)]!;
    for (let index = 0; index < width && at + index < bytes.length; index++) {
      const place = isLittle ? index : width - 1 - index;
      bytes[at + index] = Math.floor(word / 2 ** (8 * place)) % 256;
    }
    return bytes;
  },
  (bytes, random) => without(bytes, random(bytes.length), 1 + random(16)),
  (bytes, random) => bytes.slice(0, random(bytes.length)),
  (bytes, random) => {
    const from = random(bytes.length);
    return inserted(bytes, random(bytes.length + 1), bytes.slice(from, from + 1 + random(40)));
  },
  (bytes, random) => {
    const piece = Uint8Array.from({ length: 1 + random(12) }, () => random(256));
    return inserted(bytes, random(bytes.length + 1), piece);
  },
  (bytes, random) => {
    const piece = Buffer.from(pieces[random(pieces.length)]!);
    return inserted(bytes, random(bytes.length + 1), piece);
  },
  (bytes, random) => {
    // A number in as many bytes as it takes, and more.
    const varint = Uint8Array.from({ length: 1 + random(9) }, () => 0x80 | random(128));
    varint[varint.length - 1]! &= 0x7f;
    return inserted(bytes, random(bytes.length + 1), varint);
  },
  (bytes, random) => {
    // Beside a mark of JSON: another spelling of the same.
    let at = random(bytes.length);
    while (at < bytes.length && !marks.includes(bytes[at]!)) at++;
    const spelling = spellings[random(spellings.length)]!;
    return inserted(bytes, Math.min(at, bytes.length), Buffer.from(spelling));
  },
  (bytes, random, other) => {
    const at = random(bytes.length);
    const from = random(other.length);
    return inserted(bytes.slice(0, at), at, other.slice(from, from + 1 + random(200)));
  },
  (bytes, random) => {
    const [from, to] = [random(bytes.length), random(bytes.length)];
    const length = random(32);
    const piece = bytes.slice(from, from + length);
    bytes.set(piece.subarray(0, bytes.length - to), to);
    return bytes;
  },
];

/** A copy with one to four changes; `other` is whatever may be spliced in. */
export function mutated(clean: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(clean);
  for (let left = 1 + random(random(8) === 0 ? 8 : 3); left > 0; left--) {
    if (bytes.length === 0) bytes = Uint8Array.of(random(256));
    bytes = changes[random(changes.length)]!(bytes, random, other);
  }
  return bytes;
}

function without(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return joined(bytes.subarray(0, at), bytes.subarray(at + length));
}

function inserted(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  return joined(bytes.subarray(0, at), piece, bytes.subarray(at));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
