// The batches of segments that belong to one handle, in their order, and what a reader needs of them.
//   H1. A batch belongs to the handle if their key groups meet and it ends above the base.
//   H2. Each begins where the one before ended, the first at the base; the last ends at the handle's
//       change number.
//   H3. A reader gets the frames whose key groups meet its own and the handle's.
import type { KeyedStateHandle } from "../api/keyed-state-backend.ts";
import { CorruptionError } from "../errors.ts";
import type { ChangeClaims, GroupSpan } from "../format/changelog-check.ts";
import { BATCH_NUMBERS, FRAME_NUMBERS } from "../workers/segment-tasks.ts";
import type { WorkerTasks } from "../workers/tasks.ts";

export type VerifiedSegment = WorkerTasks["verifySegment"]["response"] & {
  /** Where it was fetched to. */
  readonly path: string;
  /** Its stored name, for errors. */
  readonly file: string;
};

/** A batch of the chain that has frames for the reader. */
export interface ChainBatch {
  readonly segment: VerifiedSegment;
  readonly offset: number;
  readonly afterChange: number;
  readonly upToChange: number;
  /** Of all its frames; undefined if the reader does not get all of them. */
  readonly rowCount: number | undefined;
  /** Range of frames in the segment's list: those that are wanted stand together. */
  readonly firstFrame: number;
  readonly endFrame: number;
}

export class LogChain {
  readonly claims: ChangeClaims;
  readonly wanted: GroupSpan;
  readonly batches: ChainBatch[] = [];
  batchCount = 0;
  frameCount = 0;
  rawBytes = 0;
  rowCount = 0;
  readonly #handle: KeyedStateHandle;
  readonly #base: number;
  #change: number;
  #file = "the log of a handle";

  constructor(handle: KeyedStateHandle, keyGroups: GroupSpan) {
    const { keyGroups: own, states, changeNumber, log } = handle;
    this.#handle = handle;
    this.#base = log?.baseChangeNumber ?? changeNumber;
    this.#change = this.#base;
    this.wanted = {
      first: Math.max(own.first, keyGroups.first),
      last: Math.min(own.last, keyGroups.last),
    };
    this.claims = {
      keyGroupCount: own.max,
      stateIds: states.map(({ id }) => id),
      listStateIds: states.filter(({ type }) => type === "list").map(({ id }) => id),
    };
  }

  /** The next segment of the handle. */
  add(segment: VerifiedSegment): void {
    this.#file = segment.file;
    const { batches } = segment;
    let frame = 0;
    for (let at = 0; at < batches.length; at += BATCH_NUMBERS) {
      const frames = batches[at + 7]!;
      if (this.#isOwn(segment, at)) this.#take(segment, at, frame, frame + frames);
      frame += frames;
    }
  }

  /** All segments were given. */
  finish(): void {
    const { changeNumber } = this.#handle;
    if (this.#change === changeNumber) return;
    const what = `changes after ${this.#change}, up to ${changeNumber}, are missing`;
    throw new CorruptionError(what, this.#file, 0); // H2
  }

  /** H1 */
  #isOwn({ batches, file }: VerifiedSegment, at: number): boolean {
    const { max, first, last } = this.#handle.keyGroups;
    const isOwn =
      batches[at + 1]! <= last && batches[at + 2]! >= first && batches[at + 4]! > this.#base;
    if (isOwn && batches[at]! !== max) {
      const what = `a batch is of ${batches[at]!} key groups instead of ${max}`;
      throw new CorruptionError(what, file, batches[at + 5]!);
    }
    return isOwn;
  }

  #take(segment: VerifiedSegment, at: number, firstFrame: number, endFrame: number): void {
    const { batches, file } = segment;
    const [afterChange, upToChange] = [batches[at + 3]!, batches[at + 4]!];
    const [offset, rowCount] = [batches[at + 5]!, batches[at + 6]!];
    if (afterChange !== this.#change || upToChange > this.#handle.changeNumber) {
      const found = `a batch has the changes after ${afterChange}, up to ${upToChange}`;
      const expected = `those after ${this.#change}, at most up to ${this.#handle.changeNumber}`;
      throw new CorruptionError(`${found}, where ${expected}, were to come`, file, offset); // H2
    }
    this.#change = upToChange;
    this.batchCount++;
    this.rowCount += rowCount;
    const wanted = this.#wantedFrames(segment, firstFrame, endFrame);
    if (wanted.first === wanted.end) return;
    const isWhole = wanted.first === firstFrame && wanted.end === endFrame;
    this.batches.push({
      segment,
      offset,
      afterChange,
      upToChange,
      rowCount: isWhole ? rowCount : undefined,
      firstFrame: wanted.first,
      endFrame: wanted.end,
    });
  }

  /** H3: key groups ascend from frame to frame. */
  #wantedFrames(
    { frames }: VerifiedSegment,
    firstFrame: number,
    endFrame: number,
  ): { readonly first: number; readonly end: number } {
    let first = firstFrame;
    let end = firstFrame;
    for (let frame = firstFrame; frame < endFrame; frame++) {
      const groups = frames[frame * FRAME_NUMBERS + 3]!;
      if (groups >>> 16 > this.wanted.last || (groups & 0xffff) < this.wanted.first) continue;
      if (end === first) first = frame;
      end = frame + 1;
      this.frameCount++;
      this.rawBytes += frames[frame * FRAME_NUMBERS + 2]!;
    }
    return { first: end === firstFrame ? firstFrame : first, end };
  }
}
