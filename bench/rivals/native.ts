// How the rivals of npm and of Debian are started. Each is told which engine it is.
import { join } from "node:path";
import type { Command } from "./contestant.ts";
import { nativeBench } from "./paths.ts";

export function npmCommand(engine: string): Command {
  return {
    file: process.execPath,
    arguments: ["--max-old-space-size=4096", join(nativeBench, "npm", "rival.mjs"), engine],
    directory: nativeBench,
  };
}

export function nativeCommand(engine: string): Command {
  return { file: join(nativeBench, "cpp", "target", "rival"), arguments: [engine] };
}
