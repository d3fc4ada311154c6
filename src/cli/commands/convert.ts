import { InvalidArgumentError } from "../../errors.ts";
import { type StateChange, convertCheckpoint } from "../../inspect/index.ts";
import { integer, text, texts } from "../arguments.ts";
import { type Command, type CommandCall, Exit } from "../command.ts";
import { bytesText, share } from "../text.ts";

const phases = { verify: "verified", read: "read", write: "sorted and written" } as const;

export const convert: Command = {
  name: "convert",
  parameters: ["SOURCE", "TARGET"],
  summary: "Writes a savepoint from a checkpoint: other format, backend, number of key groups.",
  help: `
  --id ID           which checkpoint (default: the newest)
  --format FORMAT   canonical (default), rows for every backend; native, files of one kind of backend
  --backend KIND    lsm or memory: for whom a native one is (default: the backend that wrote SOURCE)
  --key-groups N    how many key groups there are from now on (default: as before)
  --drop STATE      leaves a state out; may be repeated

SOURCE is a storage, a savepoint, or the path of one checkpoint's metadata. TARGET must not exist, or be
an empty directory; files to sort rows through are made beside it. It appears once it is whole. Restore
it by its path. Serializers are changed in a program: convertCheckpoint of varve/inspect.
`,
  options: {
    id: { type: "string" },
    format: { type: "string" },
    backend: { type: "string" },
    "key-groups": { type: "string" },
    drop: { type: "string", multiple: true },
  },
  async run(call) {
    const [source, target] = call.positionals as [string, string];
    const { values, terminal, interruption } = call;
    const converted = await convertCheckpoint({
      source,
      target,
      checkpointId: integer(values, "id"),
      format: oneOf(call, "format", ["canonical", "native"]),
      backend: oneOf(call, "backend", ["lsm", "memory"]),
      keyGroups: integer(values, "key-groups"),
      states: dropsOf(texts(values, "drop") ?? []),
      signal: interruption(),
      onProgress({ phase, done, total }) {
        terminal.progress(`${phases[phase]}: ${share(done, total)}`);
      },
    });
    const { checkpointId, format, backend, keyGroups, rowCount, totalBytes } = converted;
    const kind = format === "native" ? `native for ${backend}` : format;
    const size = `${rowCount} rows, ${bytesText(totalBytes)}, ${keyGroups.max} key groups`;
    await terminal.result(
      converted,
      `checkpoint ${checkpointId} is in ${target}, ${kind}: ${size}`,
    );
    return Exit.fine;
  },
};

function oneOf<const T extends string>(
  { values }: CommandCall,
  name: string,
  allowed: readonly T[],
): T | undefined {
  const value = text(values, name);
  const found = allowed.find((one) => one === value);
  if (value === undefined || found !== undefined) return found;
  throw new InvalidArgumentError(
    `--${name} is ${allowed.join(" or ")}, got ${JSON.stringify(value)}`,
  );
}

function dropsOf(names: readonly string[]): Record<string, StateChange> {
  const drops = new Map<string, StateChange>();
  for (const name of names) {
    if (drops.has(name))
      throw new InvalidArgumentError(`--drop names ${JSON.stringify(name)} twice`);
    drops.set(name, { drop: true });
  }
  return Object.fromEntries(drops);
}
