// Our side of the line protocol, for processes that are started through a shell (which puts them under
// a limit first).
import { createInterface } from "node:readline";

type Method = (fields: never) => unknown;

/** Answers one line after the other until standard input ends, then calls `close`. */
export function serveLines(methods: Readonly<Record<string, Method>>, close: () => unknown): void {
  void answerAndClose(methods, close);
}

async function answerAndClose(
  methods: Readonly<Record<string, Method>>,
  close: () => unknown,
): Promise<void> {
  try {
    await answerAll(methods);
  } finally {
    await close();
    process.exit(0);
  }
}

async function answerAll(methods: Readonly<Record<string, Method>>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(methods, line))}\n`);
  }
}

async function answer(methods: Readonly<Record<string, Method>>, line: string): Promise<object> {
  try {
    const request = JSON.parse(line) as { op: string };
    const method = methods[request.op];
    if (method === undefined) throw new Error(`no op ${request.op}`);
    return { value: await method(request as never) };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
