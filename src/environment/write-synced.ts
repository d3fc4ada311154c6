import type { FileSystem } from "../api/environment.ts";

/** Creates a file of these bytes, which are durable when it resolves; its name need not be. */
export async function writeSynced(
  fileSystem: FileSystem,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const file = await fileSystem.create(path);
  try {
    await file.write(bytes); //# fail point: files.bytes-written
    await file.sync(); //# fail point: files.bytes-synced
  } finally {
    await file.close();
  }
}
