// Follows the MANIFEST of a live database: each poll reads only what was appended since the last.
//   F1. LevelDB appends to one MANIFEST for as long as it is open, in whole records but not in one
//       write: a torn tail is read again by the next poll.
//   F2. CURRENT naming another file means a new MANIFEST: start over.
import { join } from "node:path";
import type { FileSystem } from "../api/environment.ts";
import { CorruptionError } from "../errors.ts";
import { applyManifest, emptyManifestState, requireLiveSet } from "../format/leveldb-manifest.ts";
import type { LiveSet, ManifestState } from "../format/leveldb-manifest.ts";
import { CURRENT_NAME } from "./file-names.ts";

export class ManifestFollower {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  #name: string | undefined = undefined;
  #state: ManifestState = emptyManifestState();
  #offset = 0;

  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
  }

  /** The live set as of now. Its `files` map is the follower's own: it changes with the next poll. */
  async poll(): Promise<LiveSet> {
    const name = await this.#readCurrent();
    if (name !== this.#name) {
      this.#name = name;
      this.#state = emptyManifestState();
      this.#offset = 0;
    }
    const file = await this.#fileSystem.open(join(this.#directory, name));
    try {
      if (file.sizeBytes > this.#offset) {
        const bytes = await file.read(this.#offset, file.sizeBytes - this.#offset);
        this.#offset = applyManifest(this.#state, bytes, this.#offset, file.path).endOffset;
      }
    } finally {
      await file.close();
    }
    return requireLiveSet(this.#state, file.path);
  }

  async #readCurrent(): Promise<string> {
    const path = join(this.#directory, CURRENT_NAME);
    const text = Buffer.from(await this.#fileSystem.readFile(path)).toString("latin1");
    const name = /^(MANIFEST-\d+)\n$/.exec(text)?.[1];
    if (name === undefined) throw new CorruptionError("CURRENT names no MANIFEST", path, 0);
    return name;
  }
}
