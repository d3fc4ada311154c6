// What the append thread does with requests, apart from being a thread.
//   A1. All batches of a group are encoded before anything is written: a failure leaves the segment
//       whole, or poisoned.
//   A2. Progress is noted once a batch is written, and a failure at once: somebody may be waiting. What is
//       synced ahead of a checkpoint is synced after that.
import type { Environment } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import type { FrameTools } from "../format/frame.ts";
import { loadCodec } from "../workers/codec.ts";
import type { AppendCalls, AppendGroup, AppendedGroup } from "./append-protocol.ts";
import { BatchEncoder } from "./batch-encoder.ts";
import { ProgressBlock } from "./progress-block.ts";
import { SegmentWriter } from "./segment-writer.ts";

export class AppendService {
  readonly #environment: Environment;
  readonly #encoder: BatchEncoder;
  readonly #segments = new Map<number, SegmentWriter>();
  /** Why a segment could not be created: whoever appends to it hears of it. */
  readonly #refused = new Map<number, unknown>();

  private constructor(environment: Environment, arena: SharedArrayBuffer, tools: FrameTools) {
    this.#environment = environment;
    this.#encoder = new BatchEncoder(arena, tools);
  }

  static async open(environment: Environment, arena: SharedArrayBuffer): Promise<AppendService> {
    const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
    return new AppendService(environment, arena, tools);
  }

  async create({ segment, path }: AppendCalls["create"]["request"]): Promise<undefined> {
    assert(!this.#segments.has(segment), "a segment is created twice");
    const { fileSystem } = this.#environment;
    try {
      this.#segments.set(segment, await SegmentWriter.create(fileSystem, path));
    } catch (error) {
      this.#refused.set(segment, error);
      throw error;
    }
    return undefined;
  }

  async append(group: AppendGroup): Promise<AppendedGroup> {
    const progress = group.tasks.map((task) => new ProgressBlock(task.progress));
    try {
      const appended = await this.#append(group);
      for (const [index, { boundary }] of group.tasks.entries()) progress[index]!.note(boundary);
      const { syncAheadBytes } = group;
      if (!group.isSynced) await this.#segments.get(group.segment)!.syncAhead(syncAheadBytes);
      return appended;
    } catch (error) {
      for (const block of progress) block.fail(); // A2
      throw error;
    }
  }

  async #append({ segment, tasks, isSynced }: AppendGroup): Promise<AppendedGroup> {
    const writer = this.#segments.get(segment);
    if (this.#refused.has(segment)) throw this.#refused.get(segment) as Error;
    assert(writer !== undefined, "a segment takes batches that was not created");
    const { clock } = this.#environment;
    const startMs = clock.monotonicMs();
    const { pieces, batches } = this.#encoder.encode(tasks); // A1
    try {
      await writer.write(pieces);
    } finally {
      this.#encoder.release();
    }
    const writtenMs = clock.monotonicMs();
    const synced = isSynced ? await writer.sync() : undefined;
    return {
      tasks: batches.map(({ rowCount, lengthBytes, rawBytes }) => {
        return { rowCount, lengthBytes, rawBytes };
      }),
      lengthBytes: writer.lengthBytes,
      sha256: synced?.sha256,
      bytes: synced?.bytes,
      appendMs: writtenMs - startMs,
      syncMs: clock.monotonicMs() - writtenMs,
    };
  }

  async close({ segment }: AppendCalls["close"]["request"]): Promise<undefined> {
    const writer = this.#segments.get(segment);
    this.#segments.delete(segment);
    this.#refused.delete(segment);
    await writer?.close();
    return undefined;
  }

  async end(): Promise<undefined> {
    for (const segment of this.#segments.keys()) await this.close({ segment });
    return undefined;
  }
}
