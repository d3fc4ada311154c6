import type { Key } from "../../api/state.ts";
import { type CheckpointView, jsonLineOf, openCheckpoint } from "../../inspect/index.ts";
import { keysOf, openOptions, optionsForOpening, text } from "../arguments.ts";
import { type Command, type CommandCall, Exit } from "../command.ts";

export const get: Command = {
  name: "get",
  parameters: ["DIRECTORY", "STATE", "KEY"],
  summary: "Prints what a key has in a state, as a JSON line.",
  help: `
  --id ID                 which checkpoint (default: the newest)
  --namespace NAMESPACE   only this one (default: all the key has)
  --key-type TYPE         string, number, bigint, bytes (hexadecimal) or auto (default)
  --namespace-type TYPE   likewise
  --trust-v8              decodes v8 values, which a forged checkpoint may abuse

auto tries everything KEY can mean: 42 is a string, a number and a bigint; 0x00ff is bytes too. Put --
before a key that begins with a hyphen. Exit code 1 if nothing is there.
`,
  options: {
    ...openOptions,
    namespace: { type: "string" },
    "key-type": { type: "string" },
    "namespace-type": { type: "string" },
  },
  async run(call) {
    const [directory, state, keyText] = call.positionals as [string, string, string];
    const { values } = call;
    const keys = keysOf(keyText, values, "key-type");
    const namespaceText = text(values, "namespace");
    const namespaces =
      namespaceText === undefined ? [undefined] : keysOf(namespaceText, values, "namespace-type");
    const view = await openCheckpoint(directory, optionsForOpening(values));
    try {
      let found = 0;
      for (const key of keys) {
        for (const namespace of namespaces) {
          found += await print(view, state, key, namespace, call);
        }
      }
      if (found === 0) call.terminal.note(`state ${state} has nothing under ${keyText}`);
      return found > 0 ? Exit.fine : Exit.found;
    } finally {
      await view.close();
    }
  },
};

async function print(
  view: CheckpointView,
  state: string,
  key: Key,
  namespace: Key | undefined,
  { terminal }: CommandCall,
): Promise<number> {
  const schema = view.states().find(({ name }) => name === state);
  let count = 0;
  for await (const entry of view.scan(state, { key, namespace })) {
    count++;
    await terminal.line(jsonLineOf(entry, schema!));
  }
  return count;
}
