// Serializers from the fingerprints that a checkpoint stores. Page: docs/formats/serializers.md.
//   P1. The serializer that is built has exactly the fingerprint that was read: what cannot be built
//       so is unknown, never guessed.
//   P2. `v8` is read only if the caller trusts the bytes: its decoder belongs to V8 and is not
//       hardened (SECURITY.md).
import type { Serializer } from "../api/serializer.ts";
import { array, optional, struct, tuple } from "../state/serializer-combinators.ts";
import { bigint64, bool, bytes, f64, i64, json, u32, utf8, v8 } from "../state/serializers.ts";

export type AnySerializer = Serializer<unknown>;

const builtIn = [f64, i64, u32, bigint64, bool, utf8, bytes, json()] as readonly unknown[];

/** Nesting is bounded by the length of a fingerprint, and once more by this. */
const DEPTH_MAX = 64;

export interface FingerprintOptions {
  /** The caller's own serializers, by their fingerprints. They come before the built-in ones. */
  readonly serializers?: readonly AnySerializer[] | undefined;
  /** @defaultValue false */
  readonly trustV8?: boolean | undefined;
}

/** Builds serializers; each fingerprint once. */
export class FingerprintReader {
  /** The longest first: of `a` and `a@2` the latter is meant where it fits. */
  readonly #atoms: readonly AnySerializer[];
  readonly #known = new Map<string, AnySerializer | undefined>();

  constructor({ serializers = [], trustV8 = false }: FingerprintOptions) {
    const atoms = [...serializers, ...(builtIn as AnySerializer[]), ...(trustV8 ? [v8()] : [])];
    this.#atoms = atoms.sort((a, b) => b.fingerprint.length - a.fingerprint.length);
  }

  /** The serializer of a fingerprint; undefined if it is neither built in nor given. */
  read(fingerprint: string): AnySerializer | undefined {
    if (!this.#known.has(fingerprint)) this.#known.set(fingerprint, this.#build(fingerprint));
    return this.#known.get(fingerprint);
  }

  /** Names of a struct's fields in their order; undefined if the fingerprint is not of a struct. */
  fieldsOf(fingerprint: string): readonly string[] | undefined {
    if (!fingerprint.startsWith("struct{") || this.read(fingerprint) === undefined) {
      return undefined;
    }
    const parser = new Parser(fingerprint, this.#atoms);
    parser.whole();
    return parser.fields;
  }

  #build(fingerprint: string): AnySerializer | undefined {
    const own = this.#atoms.find((atom) => atom.fingerprint === fingerprint);
    if (own !== undefined) return own;
    const built = new Parser(fingerprint, this.#atoms).whole();
    return built?.fingerprint === fingerprint ? built : undefined; // P1
  }
}

class Parser {
  readonly #text: string;
  readonly #atoms: readonly AnySerializer[];
  /** Of the outermost struct. */
  fields: readonly string[] | undefined = undefined;
  #at = 0;

  constructor(text: string, atoms: readonly AnySerializer[]) {
    this.#text = text;
    this.#atoms = atoms;
  }

  whole(): AnySerializer | undefined {
    const serializer = this.#serializer(0);
    return this.#at === this.#text.length ? serializer : undefined;
  }

  #serializer(depth: number): AnySerializer | undefined {
    if (depth > DEPTH_MAX) return undefined;
    for (const atom of this.#atoms) {
      const end = this.#at + atom.fingerprint.length;
      if (!this.#text.startsWith(atom.fingerprint, this.#at) || !this.#isEnd(end)) continue;
      this.#at = end;
      return atom;
    }
    if (this.#take("struct{")) return this.#struct(depth);
    if (this.#take("tuple[")) return this.#tuple(depth);
    if (this.#take("array<")) return this.#wrapped(depth, array);
    if (this.#take("optional<")) return this.#wrapped(depth, optional);
    return undefined;
  }

  #wrapped(depth: number, wrap: (inner: AnySerializer) => unknown): AnySerializer | undefined {
    const inner = this.#serializer(depth + 1);
    if (inner === undefined || !this.#take(">")) return undefined;
    return wrap(inner) as AnySerializer;
  }

  #tuple(depth: number): AnySerializer | undefined {
    const elements: AnySerializer[] = [];
    while (!this.#take("]")) {
      if (elements.length > 0 && !this.#take(",")) return undefined;
      const element = this.#serializer(depth + 1);
      if (element === undefined) return undefined;
      elements.push(element);
    }
    return tuple(...elements) as unknown as AnySerializer;
  }

  #struct(depth: number): AnySerializer | undefined {
    const fields: Record<string, AnySerializer> = {};
    for (let count = 0; !this.#take("}"); count++) {
      if (count > 0 && !this.#take(",")) return undefined;
      const name = this.#name();
      if (name === undefined || !this.#take(":")) return undefined;
      const value = this.#serializer(depth + 1);
      if (value === undefined) return undefined;
      // Not by assignment, which `__proto__` would take for something else.
      const property = { value, enumerable: true, configurable: true, writable: true };
      Object.defineProperty(fields, name, property);
    }
    if (depth === 0) this.fields = Object.keys(fields);
    return struct(fields) as unknown as AnySerializer;
  }

  /** A JSON string. */
  #name(): string | undefined {
    if (this.#text[this.#at] !== '"') return undefined;
    let end = this.#at + 1;
    while (end < this.#text.length && this.#text[end] !== '"') {
      end += this.#text[end] === "\\" ? 2 : 1;
    }
    const text = this.#text.slice(this.#at, end + 1);
    this.#at = end + 1;
    try {
      return JSON.parse(text) as string;
    } catch {
      return undefined; // Not a fingerprint that `struct` makes.
    }
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #isEnd(at: number): boolean {
    return at === this.#text.length || ",]}>".includes(this.#text[at]!);
  }
}
