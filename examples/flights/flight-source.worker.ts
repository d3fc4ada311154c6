// The source's thread: decodes and orders ahead of the job, as far as it was given credit.
import { parentPort, workerData } from "node:worker_threads";
import { deliveryOrder } from "./delivery-order.ts";
import { DeliveryReader } from "./delivery-reader.ts";
import type { FlightBatch, SourceMessage, SourceStart } from "./flight-batch.ts";
import { FlightFile } from "./flight-file.ts";

const port = parentPort!;
let credit = 0;
let onCredit: (() => void) | undefined = undefined;

port.on("message", () => {
  credit++;
  onCredit?.();
});

async function main(start: SourceStart): Promise<void> {
  const file = await FlightFile.open(start.inputPath, start.limit);
  const reader = new DeliveryReader(file, deliveryOrder(file.recordCount), start.firstPosition);
  for (;;) {
    const batch = await reader.next();
    if (batch === undefined) break;
    while (credit === 0) await new Promise<void>((resolve) => (onCredit = resolve));
    credit--;
    send({ kind: "batch", batch }, transferOf(batch));
  }
  send({ kind: "end" }, []);
  port.close();
}

function transferOf(batch: FlightBatch): ArrayBuffer[] {
  const { minutes, delays, distances, origins, destinations } = batch;
  const arrays = [minutes, delays, distances, origins, destinations];
  return arrays.map((array) => array.buffer as ArrayBuffer);
}

function send(message: SourceMessage, transfer: ArrayBuffer[]): void {
  port.postMessage(message, transfer);
}

main(workerData as SourceStart).catch((error: unknown) => {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  send({ kind: "failed", name, message }, []);
  port.close();
});
