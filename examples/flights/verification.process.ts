// The process of the verification: does what the messages say, in their order, and answers once.
import { Verification } from "./verification.ts";
import type { VerificationResult, VerificationStart } from "./verification.ts";

/** To this process. The first computes and compares the output; the last one is answered. */
export type VerificationRequest =
  | { readonly kind: "start"; readonly start: VerificationStart }
  | { readonly kind: "compare-state"; readonly state: string }
  | { readonly kind: "finish" };

/** From this process. */
export type VerificationAnswer =
  | { readonly kind: "verified"; readonly result: VerificationResult }
  | { readonly kind: "failed"; readonly message: string };

let verification: Verification | undefined = undefined;
let last: Promise<void> = Promise.resolve();

process.on("message", (request: VerificationRequest) => {
  last = last.then(() => handle(request));
  last.catch((error: unknown) => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.exitCode = 1;
    answer({ kind: "failed", message });
  });
});

async function handle(request: VerificationRequest): Promise<void> {
  if (request.kind === "start") {
    verification = await Verification.compute(request.start);
    verification.compareOutput();
    return;
  }
  if (verification === undefined) throw new Error(`${request.kind} came before the start`);
  if (request.kind === "compare-state") verification.compareState(request.state);
  else answer({ kind: "verified", result: await verification.finish() });
}

function answer(message: VerificationAnswer): void {
  if (process.connected) process.send?.(message, () => process.disconnect());
}

// Without its supervisor nobody wants an answer.
process.once("disconnect", () => process.exit());
