// Starts the verification's process and talks to it.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { VerificationAnswer, VerificationRequest } from "./verification.process.ts";
import type { VerificationResult, VerificationStart } from "./verification.ts";

/** It holds every flight as plain objects: 0.9 GB for three million. */
const HEAP_MIB = 4_096;

export class VerificationClient {
  readonly #start: VerificationStart;
  #child: ChildProcess | undefined = undefined;
  #result: Promise<VerificationResult> | undefined = undefined;

  constructor(start: VerificationStart) {
    this.#start = start;
  }

  /** All output is committed: recomputes, and compares it. */
  begin(): void {
    const child = fork(new URL("./verification.process.js", import.meta.url), {
      execArgv: [`--max-old-space-size=${HEAP_MIB}`],
    });
    this.#child = child;
    this.#result = new Promise((resolve, reject) => {
      child.on("message", (answer: VerificationAnswer) => {
        if (answer.kind === "verified") resolve(answer.result);
        else reject(new Error(answer.message));
      });
      child.on("error", reject);
      child.on("exit", (code, by) => {
        reject(new Error(`the verification ended with ${by ?? `code ${code}`}`));
      });
    });
    this.#result.catch(() => undefined); // `finish` hands it on.
    this.#send({ kind: "start", start: this.#start });
  }

  /** The dump of this state is complete. */
  compareState(state: string): void {
    this.#send({ kind: "compare-state", state });
  }

  /** All states are dumped. */
  async finish(): Promise<VerificationResult> {
    if (this.#result === undefined) throw new Error("the verification was not begun");
    this.#send({ kind: "finish" });
    return this.#result;
  }

  /** Ends the process, whatever it is doing. */
  stop(): void {
    this.#child?.kill("SIGKILL");
  }

  #send(request: VerificationRequest): void {
    if (this.#child?.connected === true) this.#child.send(request);
  }
}
