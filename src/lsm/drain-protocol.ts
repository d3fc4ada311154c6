// What the owner and the drain thread say to each other.
import type { ErrorData } from "../workers/error-data.ts";
import type { CapturedSet } from "./capture.ts";
import type { DrainRequest, DrainResult } from "./drain-request.ts";
import type { LsmOptions } from "./level-database.ts";

/** What the thread opens. */
export interface DrainThreadData {
  readonly realPath: string;
  readonly lsm: LsmOptions;
  readonly arena: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

/** One request in, one result out, per kind. */
export interface DrainCalls {
  /** The first request. */
  readonly open: { readonly request: DrainThreadData; readonly result: undefined };
  readonly drain: { readonly request: DrainRequest; readonly result: DrainResult };
  readonly capture: {
    readonly request: { readonly directory: string; readonly known: ReadonlySet<number> };
    readonly result: CapturedSet;
  };
  /** Packed keys in, packed rows out: prefetch.ts. */
  readonly prefetch: { readonly request: Uint8Array; readonly result: Uint8Array };
  /** The thread ends after the answer. */
  readonly close: { readonly request: undefined; readonly result: undefined };
}

export type DrainCallKind = keyof DrainCalls;

/** `id` ties an answer to its request. */
export type DrainCallMessage = {
  [K in DrainCallKind]: {
    readonly id: number;
    readonly kind: K;
    readonly request: DrainCalls[K]["request"];
  };
}[DrainCallKind];

export interface DrainAnswerMessage {
  readonly id: number;
  readonly result?: DrainCalls[DrainCallKind]["result"];
  readonly failure?: ErrorData | undefined;
  /** The failure poisoned the thread: it refuses every further request. */
  readonly poisoned?: boolean | undefined;
}
