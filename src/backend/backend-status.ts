// Whether a backend serves: open until it is poisoned, fenced or closed. Whoever asks first after
// that gets the typed error.
import { setMaxListeners } from "node:events";
import { ClosedError, PoisonedError } from "../errors.ts";
import type { FencedError, StateBackendError } from "../errors.ts";

type Phase =
  | { readonly name: "open" }
  | {
      readonly name: "poisoned" | "fenced" | "closing" | "closed";
      readonly error: StateBackendError;
    };

export class BackendStatus {
  readonly #controller = new AbortController();
  readonly #onChange: () => void;
  #phase: Phase = { name: "open" };

  /** `onChange` is called whenever the backend stops serving. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    // One listener for each checkpoint and wait under way: their number is the caller's affair.
    setMaxListeners(0, this.#controller.signal);
  }

  /** Aborts with the typed error once the backend no longer serves. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOpen(): boolean {
    return this.#phase.name === "open";
  }

  /** The error for calls now; undefined while the backend serves. */
  get refusal(): StateBackendError | undefined {
    return this.#phase.name === "open" ? undefined : this.#phase.error;
  }

  throwIfRefused(): void {
    if (this.#phase.name !== "open") throw this.#phase.error;
  }

  /** Local state cannot be trusted any more. The first reason counts. */
  poison(cause: unknown): StateBackendError {
    // A store that was poisoned before says so about every later call: the first failure counts.
    const origin = cause instanceof PoisonedError ? (cause.cause ?? cause) : cause;
    const error = new PoisonedError(
      `the backend stopped after a failure: close it and restore from the latest checkpoint${reasonOf(origin)}`,
      { cause: origin },
    );
    return this.#stop("poisoned", error);
  }

  /** A newer attempt owns the checkpoints. */
  fence(error: FencedError): void {
    this.#stop("fenced", error);
  }

  startClosing(): void {
    const error = new ClosedError("the backend is closed");
    if (this.#phase.name === "open") this.#stop("closing", error);
    else this.#phase = { name: "closing", error };
  }

  #stop(name: "poisoned" | "fenced" | "closing", error: StateBackendError): StateBackendError {
    if (this.#phase.name !== "open") return this.#phase.error;
    this.#phase = { name, error };
    this.#controller.abort(error);
    this.#onChange();
    return error;
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? ` (${cause.message})` : "";
}
