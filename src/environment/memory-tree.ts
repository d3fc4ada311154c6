// Inodes and directories of the in-memory file system, and what a power loss leaves of them.
//   M1. A file's bytes survive up to the length of its last sync; what follows may survive in
//       blocks of 512 bytes, each independently, with zeros between.
//   M2. A directory's names survive as of its last sync; each later change may survive or not,
//       independently of the others, but changes to one name keep their order.
//   M3. A directory that its parent has not synced is gone with everything in it.
// Files only ever grow at their end (WritableFile), so the synced content is a prefix.

/** A number from 0, inclusive, to 1, exclusive. */
export type RandomNumber = () => number;

const BLOCK_BYTES = 512;
const CAPACITY_BYTES_MIN = 256;

export class FileNode {
  readonly kind = "file";
  #content = new Uint8Array(0);
  #lengthBytes = 0;
  #syncedBytes = 0;

  get sizeBytes(): number {
    return this.#lengthBytes;
  }

  append(bytes: Uint8Array): void {
    const end = this.#lengthBytes + bytes.length;
    if (end > this.#content.length) {
      const grown = new Uint8Array(Math.max(end, this.#content.length * 2, CAPACITY_BYTES_MIN));
      grown.set(this.#content.subarray(0, this.#lengthBytes));
      this.#content = grown;
    }
    this.#content.set(bytes, this.#lengthBytes);
    this.#lengthBytes = end;
  }

  /** A copy of the bytes from `offset`, up to `length` or the end. */
  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.#lengthBytes, offset + length);
    return this.#content.slice(Math.min(offset, end), end);
  }

  sync(): void {
    this.#syncedBytes = this.#lengthBytes;
  }

  /** Replaces the content as damage would, on disk as well as in memory. */
  damage(bytes: Uint8Array): void {
    this.#content = bytes.slice();
    this.#lengthBytes = bytes.length;
    this.#syncedBytes = bytes.length;
  }

  /** A file as a power loss leaves it; without `random`, only what was synced (M1). */
  afterCrash(random: RandomNumber | undefined): FileNode {
    const survivor = new FileNode();
    const unsynced = this.#lengthBytes - this.#syncedBytes;
    const kept = random === undefined ? 0 : Math.floor(random() * (unsynced + 1));
    const content = this.#content.slice(0, this.#syncedBytes + kept);
    if (random !== undefined) {
      for (let at = this.#syncedBytes; at < content.length;) {
        const end = Math.min(content.length, at - (at % BLOCK_BYTES) + BLOCK_BYTES);
        if (random() < 0.5) content.fill(0, at, end);
        at = end;
      }
    }
    survivor.damage(content);
    return survivor;
  }
}

export class SymbolicLinkNode {
  readonly kind = "link";
  readonly target: string;

  constructor(target: string) {
    this.target = target;
  }
}

export type TreeNode = FileNode | DirectoryNode | SymbolicLinkNode;

/** Names given and taken in one atomic step; undefined takes a name away. */
type Change = readonly (readonly [name: string, node: TreeNode | undefined])[];

export class DirectoryNode {
  readonly kind = "directory";
  readonly entries: Map<string, TreeNode> = new Map();
  #synced: ReadonlyMap<string, TreeNode> = new Map();
  #unsyncedChanges: Change[] = [];

  change(change: Change): void {
    apply(this.entries, change);
    this.#unsyncedChanges.push(change);
  }

  sync(): void {
    this.#synced = new Map(this.entries);
    this.#unsyncedChanges = [];
  }

  /** Makes the whole tree durable, as if it had always been there. */
  syncAll(): void {
    this.sync();
    for (const node of this.entries.values()) {
      if (node.kind === "directory") node.syncAll();
      else if (node.kind === "file") node.sync();
    }
  }

  /** A tree as a power loss leaves it. `survivors` keeps hard links hard: one inode, one survivor. */
  afterCrash(
    random: RandomNumber | undefined,
    survivors: Map<TreeNode, TreeNode> = new Map(),
  ): DirectoryNode {
    const names = new Map(this.#synced);
    if (random !== undefined) {
      for (const change of this.#unsyncedChanges) if (random() < 0.5) apply(names, change); // M2
    }
    const survivor = new DirectoryNode();
    for (const [name, node] of names) {
      let copy = survivors.get(node);
      if (copy === undefined) {
        copy =
          node.kind === "directory"
            ? node.afterCrash(random, survivors)
            : node.kind === "file"
              ? node.afterCrash(random)
              : node;
        survivors.set(node, copy);
      }
      survivor.entries.set(name, copy);
    }
    survivor.sync();
    return survivor;
  }
}

function apply(names: Map<string, TreeNode>, change: Change): void {
  for (const [name, node] of change) {
    if (node === undefined) names.delete(name);
    else names.set(name, node);
  }
}
