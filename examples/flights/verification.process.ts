// The process of the verification. Computes on the first message, compares on the second, answers once.
import { Verification } from "./verification.ts";
import type { VerificationResult, VerificationStart } from "./verification.ts";

/** To this process. */
export type VerificationRequest =
  { readonly kind: "compute"; readonly start: VerificationStart } | { readonly kind: "compare" };

/** From this process. */
export type VerificationAnswer =
  | { readonly kind: "verified"; readonly result: VerificationResult }
  | { readonly kind: "failed"; readonly message: string };

let computed: Promise<Verification> | undefined = undefined;

process.on("message", (request: VerificationRequest) => {
  if (request.kind === "compute") {
    computed = Verification.compute(request.start);
    computed.catch(() => undefined); // Whoever compares gets it.
    return;
  }
  answer().then(send, (error: unknown) => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.exitCode = 1;
    send({ kind: "failed", message });
  });
});

async function answer(): Promise<VerificationAnswer> {
  const verification = await computed;
  if (verification === undefined) throw new Error("nothing was computed");
  return { kind: "verified", result: await verification.compare() };
}

function send(message: VerificationAnswer): void {
  process.send?.(message, () => process.disconnect());
}

// Without its supervisor nobody wants an answer.
process.once("disconnect", () => process.exit());
