// All damages of a set of objects, in an order: number n is one of them.
export interface Damage {
  readonly kind:
    "bit" | "cut" | "zeroed512" | "zeroed4096" | "swapped" | "stale" | "duplicated" | "missing";
  /** The objects that it changes. */
  readonly names: readonly string[];
  /** Their bytes then; undefined: gone. */
  readonly bytes: readonly (Buffer | undefined)[];
  /** First byte that differs, of the first object. */
  readonly offset: number;
  readonly text: string;
}

type Objects = ReadonlyMap<string, Buffer>;

interface Group {
  readonly kind: Damage["kind"];
  readonly name: string;
  readonly count: number;
  readonly make: (index: number) => Omit<Damage, "kind" | "text">;
}

export class Damages {
  readonly #groups: readonly Group[];
  readonly count: number;

  constructor(objects: Objects) {
    this.#groups = [...objects].flatMap(([name, bytes]) => groupsOf(name, bytes, objects));
    this.count = this.#groups.reduce((sum, group) => sum + group.count, 0);
  }

  at(number: number): Damage {
    let index = number;
    for (const { kind, name, count, make } of this.#groups) {
      if (index < count) return { kind, text: `${kind} ${index} of ${name}`, ...make(index) };
      index -= count;
    }
    throw new RangeError(`there are ${this.count} damages, not ${number}`);
  }
}

function groupsOf(name: string, clean: Buffer, objects: Objects): Group[] {
  const others = [...objects].filter(([other]) => other !== name);
  const one = (bytes: Buffer | undefined, offset: number) => ({
    names: [name],
    bytes: [bytes],
    offset,
  });
  const zeroed = (kind: "zeroed512" | "zeroed4096", block: number): Group => ({
    kind,
    name,
    count: Math.ceil(clean.length / block),
    make: (index) => {
      const bytes = Buffer.from(clean).fill(
        0,
        index * block,
        Math.min(clean.length, (index + 1) * block),
      );
      return one(bytes, differenceOf(bytes, clean));
    },
  });
  return [
    {
      kind: "bit",
      name,
      count: clean.length * 8,
      make: (index) => {
        const bytes = Buffer.from(clean);
        bytes[index >> 3]! ^= 1 << (index & 7);
        return one(bytes, index >> 3);
      },
    },
    { kind: "cut", name, count: clean.length, make: (at) => one(clean.subarray(0, at), at) },
    zeroed("zeroed512", 512),
    zeroed("zeroed4096", 4096),
    {
      kind: "swapped",
      name,
      count: others.filter(([other]) => other > name).length,
      make: (index) => {
        const [other, bytes] = others.filter(([one]) => one > name)[index]!;
        return { names: [name, other], bytes: [bytes, clean], offset: differenceOf(bytes, clean) };
      },
    },
    {
      // As a file of the same name and length, written before.
      kind: "stale",
      name,
      count: others.length,
      make: (index) => {
        const bytes = Buffer.alloc(clean.length);
        others[index]![1].copy(bytes);
        return one(bytes, differenceOf(bytes, clean));
      },
    },
    {
      kind: "duplicated",
      name,
      count: 1,
      make: () => one(Buffer.concat([clean, clean]), clean.length),
    },
    { kind: "missing", name, count: 1, make: () => one(undefined, 0) },
  ];
}

/** First byte that differs; the length of the shorter one if none does. */
function differenceOf(a: Buffer, b: Buffer): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at++) if (a[at] !== b[at]) return at;
  return end;
}
