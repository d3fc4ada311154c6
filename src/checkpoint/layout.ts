// Names of objects in a checkpoint storage. Page: docs/formats/directory-layout.md.
import { completionDigits, parseCompletionDigits } from "../format/metadata-hint.ts";

export const FILES_PREFIX = "files/";
export const METADATA_PREFIX = "metadata/";
export const PINS_PREFIX = "pins/";
/** The hint. */
export const LATEST_NAME = "latest";

/** Name of a data file or file list. */
export function fileName(id: string): string {
  return `${FILES_PREFIX}${id}`;
}

/** Name of the metadata of the checkpoint with this completion number. */
export function metadataName(number: number): string {
  return `${METADATA_PREFIX}${completionDigits(number)}`;
}

/** The completion number in a metadata object's name, or undefined for any other name. */
export function numberOfMetadataName(name: string): number | undefined {
  if (!name.startsWith(METADATA_PREFIX)) return undefined;
  return parseCompletionDigits(name.slice(METADATA_PREFIX.length));
}

/** Name of the pin of the checkpoint with this completion number. */
export function pinName(number: number): string {
  return `${PINS_PREFIX}${completionDigits(number)}`;
}

/** The completion number in a pin's name, or undefined for any other name. */
export function numberOfPinName(name: string): number | undefined {
  if (!name.startsWith(PINS_PREFIX)) return undefined;
  return parseCompletionDigits(name.slice(PINS_PREFIX.length));
}
