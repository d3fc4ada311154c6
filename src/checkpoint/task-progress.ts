// Tells how far a task is, on the channel varve:progress.
import { type ProgressEvent, type ProgressTask, progressChannel } from "../diagnostics.ts";

let progressIds = 0;

interface SizedFile {
  readonly lengthBytes: number;
}

/** Publishes if anybody listens; else nothing is built. */
export class TaskProgress {
  readonly #task: ProgressTask;
  readonly #id = ++progressIds;
  readonly #files: readonly SizedFile[] | undefined;
  #bytes: number | undefined;
  #doneFiles = 0;
  #doneBytes = 0;

  /** Begins. `files`: all that has to be done, if it is known. */
  constructor(task: ProgressTask, files?: readonly SizedFile[]) {
    this.#task = task;
    this.#files = files;
    this.#publish();
  }

  fileDone(lengthBytes: number): void {
    this.#doneFiles++;
    this.#doneBytes += lengthBytes;
    this.#publish();
  }

  #publish(): void {
    if (!progressChannel.hasSubscribers) return;
    this.#bytes ??= this.#files?.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const event: ProgressEvent = {
      task: this.#task,
      id: this.#id,
      doneFiles: this.#doneFiles,
      doneBytes: this.#doneBytes,
      files: this.#files?.length,
      bytes: this.#bytes,
    };
    progressChannel.publish(event);
  }
}
