// Child processes that answer calls: each measured subject has compiled code of its own.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

interface Reply {
  readonly value?: unknown;
  readonly error?: string;
  /** How far a call is that goes on. */
  readonly progress?: number;
}

export class Child {
  readonly #process: ChildProcess;
  onProgress: ((done: number) => void) | undefined;
  #waiting: { resolve(value: unknown): void; reject(error: Error): void } | undefined;

  /** `module` is a compiled file, as a URL; `variables` are added to those of the environment. */
  constructor(
    module: URL,
    nodeFlags: readonly string[] = [],
    variables: Readonly<Record<string, string>> = {},
  ) {
    this.#process = fork(fileURLToPath(module), [], {
      execArgv: [...nodeFlags],
      env: { ...process.env, ...variables },
      // JSON has no Infinity, and makes objects of typed arrays.
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#process.on("message", (reply: Reply) => {
      if (reply.progress === undefined) this.#answered(reply);
      else this.onProgress?.(reply.progress);
    });
    this.#process.on("exit", (code, signal) =>
      this.#answered({ error: `the child process ended (${signal ?? code})` }),
    );
  }

  /** One call at a time. */
  async call<R>(method: string, argument?: unknown): Promise<R> {
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#process.send({ method, argument });
    return (await answer) as R;
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.disconnect();
    await ended;
  }

  /** As a crash would end it. */
  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }

  #answered(reply: Reply): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (reply.error === undefined) waiting?.resolve(reply.value);
    else waiting?.reject(new Error(reply.error));
  }
}

type Method = (argument: never) => unknown;

/** The other side: answers calls until the parent disconnects, then calls `close`. */
export function serve(methods: Readonly<Record<string, Method>>, close: () => unknown): void {
  process.on("message", (message: { method: string; argument: never }) => {
    void answer(methods[message.method], message.argument);
  });
  process.once("disconnect", () => {
    void Promise.resolve(close()).finally(() => process.exit(0));
  });
}

async function answer(method: Method | undefined, argument: never): Promise<void> {
  try {
    if (method === undefined) throw new Error("no such method");
    process.send?.({ value: await method(argument) } satisfies Reply);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.send?.({ error: text } satisfies Reply);
  }
}
