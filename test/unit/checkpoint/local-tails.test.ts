// Local names of segments that grow: T1 and T2 of src/checkpoint/local-tails.ts.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "vitest";
import type { FileSystem } from "../../../src/api/environment.ts";
import { LocalTails } from "../../../src/checkpoint/local-tails.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";

const [stored, local] = ["/stored/segment", "/local/segment"];

describe("a segment that grows", () => {
  let files: MemoryFileSystem;
  let linkCode: string | undefined;
  let failing: { readonly code: string; left: number } | undefined;
  let tails: LocalTails;

  beforeEach(async () => {
    files = new MemoryFileSystem();
    for (const directory of ["/stored", "/local"]) await files.makeDirectory(directory);
    linkCode = undefined;
    failing = undefined;
    tails = new LocalTails(withFailures());
  });

  /** Links are refused, and files of it cannot be opened, when the test says so. */
  function withFailures(): FileSystem {
    const calls: Partial<FileSystem> = {
      link: (existing, path) =>
        linkCode === undefined ? files.link(existing, path) : Promise.reject(errorOf(linkCode)),
      open: (path) => {
        if (failing === undefined || failing.left-- <= 0) return files.open(path);
        return Promise.reject(errorOf(failing.code));
      },
    };
    return new Proxy<FileSystem>(files, {
      get(target, name) {
        const value: unknown = Reflect.get(calls, name) ?? Reflect.get(target, name);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  }

  function errorOf(code: string): Error {
    return Object.assign(new Error(code), { code });
  }

  async function grow(): Promise<(text: string) => Promise<number>> {
    const file = await files.create(stored);
    let length = 0;
    return async (text) => {
      await file.write(Buffer.from(text));
      return (length += text.length);
    };
  }

  async function textOf(path: string): Promise<string> {
    return Buffer.from(await files.readFile(path)).toString();
  }

  test("is linked where it can be, and grows by itself", async () => {
    const write = await grow();
    await tails.keep("id", stored, local, await write("first"));
    await write(", second");
    assert.equal(await textOf(local), "first, second");
  });

  test("is copied up to what is kept where it cannot, each byte once and in order", async () => {
    linkCode = "EXDEV";
    const write = await grow();
    const lengths = [await write("first"), await write(", second")];
    await write(", third");
    await Promise.all(lengths.map((length) => tails.keep("id", stored, local, length)));
    assert.equal(await textOf(local), "first, second");
    await tails.keep("id", stored, local, lengths[0]!);
    assert.equal(await textOf(local), "first, second");
    await tails.close();
  });

  test("that cannot be kept is told to every caller, until it is forgotten", async () => {
    linkCode = "EXDEV";
    const write = await grow();
    const length = await write("first");
    failing = { code: "EIO", left: 1 };
    const calls = [1, 2].map(() => tails.keep("id", stored, local, length));
    for (const call of calls) await assert.rejects(call, { code: "EIO" });
    await assert.rejects(tails.keep("id", stored, local, length), { code: "EIO" });
    await tails.forget("id");
    await files.unlink(local);
    await tails.keep("id", stored, local, length);
    assert.equal(await textOf(local), "first");
    await tails.close();
  });

  test("that is refused a name at all is told too", async () => {
    linkCode = "ENOSPC";
    const write = await grow();
    const length = await write("first");
    const calls = [1, 2].map(() => tails.keep("id", stored, local, length));
    for (const call of calls) await assert.rejects(call, { code: "ENOSPC" });
    await tails.close();
  });

  test("that has become shorter is told by name", async () => {
    linkCode = "EXDEV";
    const write = await grow();
    const kept = tails.keep("id", stored, local, (await write("first")) + 1);
    await assert.rejects(kept, { code: "VARVE_STORAGE", message: /\/stored\/segment/ });
    await tails.close();
  });
});
