// The process of the verification: one message in, one out.
import { type VerificationStart, verify } from "./verification.ts";

process.once("message", (start) => {
  verify(start as VerificationStart).then(
    (result) => {
      process.send?.({ kind: "verified", result }, () => process.disconnect());
    },
    (error: unknown) => {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.exitCode = 1;
      process.send?.({ kind: "failed", message }, () => process.disconnect());
    },
  );
});
