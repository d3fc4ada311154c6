// A child process that is measured: ours, which answers messages, or a rival, which answers lines.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Child } from "../support/child.ts";

export interface Contestant {
  /** One call at a time. Between calls the process waits, and nothing is measured of it. */
  call<R>(op: string, fields?: object): Promise<R>;
  close(): Promise<void>;
}

export interface Command {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly directory?: string | undefined;
}

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

const lastErrorLines = 30;
/** No call takes as long; a rival that waits for ever must not take the others with it. */
const answerMsMax = 900_000;
const closeMs = 30_000;

/** One that waits for itself does not notice that its standard input has ended. */
const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Lines of JSON: {"op":…} on its standard input, {"value":…} or {"error":…} on its output. */
export class LineChild implements Contestant {
  readonly #process: ChildProcess;
  readonly #errors: string[] = [];
  #waiting: { resolve(value: unknown): void; reject(error: Error): void } | undefined;

  constructor({ file, arguments: given, directory }: Command) {
    this.#process = spawn(file, [...given], { cwd: directory, stdio: ["pipe", "pipe", "pipe"] });
    running.add(this.#process);
    this.#process.on("exit", () => running.delete(this.#process));
    createInterface({ input: this.#process.stdout! }).on("line", (line) => this.#answered(line));
    createInterface({ input: this.#process.stderr! }).on("line", (line) => {
      this.#errors.push(line);
      if (this.#errors.length > lastErrorLines) this.#errors.shift();
    });
    this.#process.on("error", (error) => this.#ended(error.message));
    this.#process.on("exit", (code, signal) => this.#ended(`it ended with ${signal ?? code}`));
    this.#process.stdin!.on("error", () => undefined); // Told by its exit.
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async call<R>(op: string, fields: object = {}): Promise<R> {
    if (this.#process.exitCode !== null) throw this.#failure("it has ended");
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#process.stdin!.write(`${JSON.stringify({ op, ...fields })}\n`);
    const timer = setTimeout(() => {
      this.#ended(`it did not answer "${op}" within ${answerMsMax / 60_000} minutes`);
      this.#process.kill("SIGKILL");
    }, answerMsMax);
    try {
      return (await answer) as R;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), closeMs);
    this.#process.stdin!.end();
    await ended;
    clearTimeout(timer);
  }

  #answered(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    try {
      const { value, error } = JSON.parse(line) as Answer;
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(this.#failure(error));
    } catch {
      waiting?.reject(this.#failure(`it answered ${JSON.stringify(line.slice(0, 200))}`));
    }
  }

  #ended(how: string): void {
    this.#waiting?.reject(this.#failure(how));
    this.#waiting = undefined;
  }

  #failure(what: string): Error {
    return new Error(what, { cause: this.#errors.join("\n") });
  }
}

/** One of our own processes. */
export class OwnChild implements Contestant {
  readonly #child: Child;

  constructor(
    module: URL,
    nodeFlags: readonly string[] = [],
    variables: Readonly<Record<string, string>> = {},
  ) {
    this.#child = new Child(module, nodeFlags, variables);
  }

  call<R>(op: string, fields: object = {}): Promise<R> {
    return this.#child.call<R>(op, fields);
  }

  close(): Promise<void> {
    return this.#child.close();
  }
}
