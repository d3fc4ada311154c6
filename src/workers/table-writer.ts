// Rows to table files, in the order in which they come: ascending. What `DumpWriter` is for dumps.
//   T1. A file ends between two rows, so files do not overlap and all fit one level.
//   T2. Row by row nothing is awaited: the caller asks `fits`, and awaits `makeRoom` if not.
import type { WritableFile } from "../api/environment.ts";
import { MIB } from "../common/units.ts";
import { TableBuilder } from "../format/leveldb-table-builder.ts";
import type { TaskContext } from "./tasks.ts";

/** Bytes of finished blocks that are gathered before they are written. */
const PIECE_BYTES: number = MIB;

/** Where the files go. */
export interface TableFiles {
  readonly pathPrefix: string;
  /** Bytes after which a new file is begun. */
  readonly fileBytes: number;
  readonly blockSizeBytes: number;
}

export interface WrittenTable {
  readonly path: string;
  readonly lengthBytes: number;
  readonly rowCount: number;
  /** Internal keys, both inclusive. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

export class TableWriter {
  readonly #target: TableFiles;
  readonly #context: TaskContext;
  readonly #tables: WrittenTable[] = [];
  #builder: TableBuilder;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #open: { readonly path: string; readonly file: WritableFile } | undefined;
  /** Key and row side by side, as the builder takes them. */
  #scratch = new Uint8Array(65_536);

  constructor(target: TableFiles, context: TaskContext) {
    this.#target = target;
    this.#context = context;
    this.#builder = this.#newBuilder();
  }

  fits(_keyBytes: number, _rowBytes: number): boolean {
    return this.#pieceBytes < PIECE_BYTES && this.#builder.lengthBytes < this.#target.fileBytes;
  }

  /** Writes what was gathered, and ends a file that is long enough. */
  async makeRoom(): Promise<void> {
    this.#context.checkStop();
    if (this.#builder.lengthBytes < this.#target.fileBytes) await this.#flush();
    else await this.#endFile();
  }

  /** A row as it is stored, as pieces of larger arrays. */
  copy(key: Uint8Array, keyBytes: number, source: Uint8Array, start: number, end: number): void {
    const bytes = keyBytes + end - start;
    if (bytes > this.#scratch.length) this.#scratch = new Uint8Array(bytes * 2);
    const scratch = this.#scratch;
    for (let at = 0; at < keyBytes; at++) scratch[at] = key[at]!;
    scratch.set(source.subarray(start, end), keyBytes);
    this.#builder.add(scratch, 0, keyBytes, keyBytes, bytes);
  }

  async finish(): Promise<readonly WrittenTable[]> {
    await this.#endFile();
    return this.#tables;
  }

  /** Removes every file. */
  async discard(): Promise<void> {
    const paths = this.#tables.map(({ path }) => path);
    if (this.#open !== undefined) {
      paths.push(this.#open.path);
      await this.#open.file.close();
    }
    for (const path of paths) await this.#context.fileSystem.removeTree(path);
  }

  #newBuilder(): TableBuilder {
    return new TableBuilder(this.#target.blockSizeBytes, (bytes) => {
      this.#pieces.push(bytes.slice());
      this.#pieceBytes += bytes.length;
    });
  }

  async #flush(): Promise<void> {
    if (this.#pieces.length === 0) return;
    this.#open ??= await this.#beginFile();
    const piece = new Uint8Array(this.#pieceBytes);
    let at = 0;
    for (const bytes of this.#pieces) {
      piece.set(bytes, at);
      at += bytes.length;
    }
    this.#pieces = [];
    this.#pieceBytes = 0;
    await this.#open.file.write(piece);
  }

  async #beginFile(): Promise<{ readonly path: string; readonly file: WritableFile }> {
    const path = `${this.#target.pathPrefix}${this.#tables.length}`;
    if (this.#context.isRepeated) await this.#context.fileSystem.removeTree(path);
    return { path, file: await this.#context.fileSystem.create(path) };
  }

  async #endFile(): Promise<void> {
    const { rowCount } = this.#builder;
    const bounds = this.#builder.finish();
    if (bounds === undefined) return;
    await this.#flush();
    const { path, file } = this.#open!;
    const { lengthBytes } = this.#builder;
    await file.close();
    this.#open = undefined;
    this.#tables.push({ path, lengthBytes, rowCount, ...bounds });
    this.#builder = this.#newBuilder(); // T1
  }
}
