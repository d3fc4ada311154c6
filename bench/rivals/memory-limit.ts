// A limit of memory for a process and its page cache, by a cgroup of version 2 or 1.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Command } from "./contestant.ts";

const root = "/sys/fs/cgroup";
const prefix = "varve-rivals-";

export class MemoryLimit {
  /** For the row: what limits, or why nothing does. */
  readonly description: string;
  readonly #group: string | undefined;

  private constructor(description: string, group: string | undefined) {
    this.description = description;
    this.#group = group;
  }

  /** Never fails: where no limit can be set, the row says so. */
  static create(bytes: number, name: string): MemoryLimit {
    try {
      const { parent, file, version } = controllerOf();
      removeAbandoned(parent);
      const group = join(parent, `${prefix}${process.pid}-${name.replaceAll(/\W+/g, "-")}`);
      mkdirSync(group);
      writeFileSync(join(group, file), String(bytes));
      const megabytes = Math.round(bytes / 1_048_576);
      const text = `${megabytes} MiB, cgroup version ${version}, page cache included`;
      return new MemoryLimit(text, group);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return MemoryLimit.none(why);
    }
  }

  static none(why: string): MemoryLimit {
    return new MemoryLimit(`none but each one's own settings: ${why}`, undefined);
  }

  /** The same command, within the limit from its first page on. */
  within(command: Command): Command {
    if (this.#group === undefined) return command;
    const script = 'echo $$ > "$0" && exec "$@"';
    const procs = join(this.#group, "cgroup.procs");
    return {
      ...command,
      file: "sh",
      arguments: ["-c", script, procs, command.file, ...command.arguments],
    };
  }

  /** Its processes have ended. */
  remove(): void {
    if (this.#group === undefined) return;
    try {
      rmdirSync(this.#group);
    } catch {
      // A process that was killed is still there for a moment: an empty group costs nothing.
    }
  }
}

/** Those of runs that were interrupted: without a process in it a group can be removed. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    try {
      rmdirSync(join(parent, name));
    } catch {
      // In use, by another run.
    }
  }
}

function controllerOf(): { parent: string; file: string; version: 1 | 2 } {
  const controllers = join(root, "cgroup.controllers");
  if (existsSync(controllers) && readFileSync(controllers, "utf8").includes("memory")) {
    const subtree = join(root, "cgroup.subtree_control");
    if (!readFileSync(subtree, "utf8").includes("memory")) writeFileSync(subtree, "+memory");
    return { parent: root, file: "memory.max", version: 2 };
  }
  const parent = join(root, "memory");
  if (!existsSync(join(parent, "memory.limit_in_bytes"))) {
    throw new Error("there is no memory controller of cgroups");
  }
  return { parent, file: "memory.limit_in_bytes", version: 1 };
}
