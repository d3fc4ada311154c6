// How Flink's process is started.
import { join } from "node:path";
import type { Command } from "./contestant.ts";
import { nativeBench } from "./paths.ts";

/** What Flink's own start scripts open to it. */
const opened = [
  "java.lang",
  "java.util",
  "java.util.concurrent",
  "java.net",
  "java.nio",
  "java.io",
  "java.lang.reflect",
  "java.text",
  "java.time",
];

export interface JvmOptions {
  readonly heapMegabytes: number;
  readonly collector: "G1" | "Parallel";
  readonly isPreTouched: boolean;
}

export function flinkCommand({ heapMegabytes, collector, isPreTouched }: JvmOptions): Command {
  const target = join(nativeBench, "flink", "target");
  return {
    file: "java",
    arguments: [
      `-Xms${heapMegabytes}m`,
      `-Xmx${heapMegabytes}m`,
      `-XX:+Use${collector}GC`,
      ...(isPreTouched ? ["-XX:+AlwaysPreTouch"] : []),
      ...opened.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
      "-cp",
      [join(target, "flink-rival.jar"), join(target, "lib", "*")].join(":"),
      "varve.rivals.Main",
    ],
  };
}
