// Tells how far a task is, on the channel varve:progress.
import { type ProgressEvent, type ProgressTask, progressChannel } from "../diagnostics.ts";

let progressIds = 0;

/** Publishes if anybody listens. */
export class TaskProgress {
  readonly #event: Pick<ProgressEvent, "task" | "id" | "files" | "bytes">;
  #doneFiles = 0;
  #doneBytes = 0;

  /** Begins. */
  constructor(task: ProgressTask, files?: readonly { readonly lengthBytes: number }[]) {
    const bytes = files?.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    this.#event = { task, id: ++progressIds, files: files?.length, bytes };
    this.#publish();
  }

  fileDone(lengthBytes: number): void {
    this.#doneFiles++;
    this.#doneBytes += lengthBytes;
    this.#publish();
  }

  #publish(): void {
    if (!progressChannel.hasSubscribers) return;
    const event: ProgressEvent = {
      ...this.#event,
      doneFiles: this.#doneFiles,
      doneBytes: this.#doneBytes,
    };
    progressChannel.publish(event);
  }
}
