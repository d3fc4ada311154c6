// The source's thread: decodes and orders ahead of the job, as far as it was given credit.
import { parentPort, workerData } from "node:worker_threads";
import { deliveryOrder } from "./delivery-order.ts";
import { DeliveryReader } from "./delivery-reader.ts";
import type { FlightBatch, SourceMessage, SourceRequest, SourceStart } from "./flight-batch.ts";
import { FlightFile } from "./flight-file.ts";

const port = parentPort!;
let firstPosition: number | undefined = undefined;
let credit = 0;
let wake: (() => void) | undefined = undefined;

port.on("message", (request: SourceRequest) => {
  if (request.kind === "begin") firstPosition = request.firstPosition;
  else credit++;
  wake?.();
});

async function main(start: SourceStart): Promise<void> {
  const file = await FlightFile.open(start.inputPath, start.limit);
  const reader = new DeliveryReader(file, deliveryOrder(file.recordCount));
  reader.seek(start.expectedPosition);
  await reader.preload();
  while (firstPosition === undefined) await message();
  reader.seek(firstPosition);
  for (;;) {
    const batch = await reader.next();
    if (batch === undefined) break;
    while (credit === 0) await message();
    credit--;
    send({ kind: "batch", batch }, transferOf(batch));
  }
  send({ kind: "end" }, []);
  port.close();
}

function message(): Promise<void> {
  return new Promise((resolve) => (wake = resolve));
}

function transferOf(batch: FlightBatch): ArrayBuffer[] {
  const { minutes, delays, distances, origins, destinations } = batch;
  const arrays = [minutes, delays, distances, origins, destinations];
  return arrays.map((array) => array.buffer as ArrayBuffer);
}

function send(content: SourceMessage, transfer: ArrayBuffer[]): void {
  port.postMessage(content, transfer);
}

main(workerData as SourceStart).catch((error: unknown) => {
  const { name, message: text } = error instanceof Error ? error : new Error(String(error));
  send({ kind: "failed", name, message: text }, []);
  port.close();
});
