/**
 * How faults and known bugs get into a node without being in its packages: Node.js loads the entry of
 * this folder before the program, in the coordinator and in each child.
 */
import { fileURLToPath, pathToFileURL } from 'node:url'

const ENTRY = fileURLToPath(new URL('entry.js', import.meta.url))

export interface Inside {
  /** A known bug, by its name. */
  readonly canary?: string | undefined
  /** Directory by which failpoints are armed and disk faults are told, while the node runs. */
  readonly control?: string | undefined
}

/** What the environment of a node must hold for this to be in it. */
export function environmentWith({ canary, control }: Inside): Readonly<Record<string, string>> {
  if (canary === undefined && control === undefined) return {}
  return {
    // It replaces methods of classes: these are found in the modules, not in the program made of them.
    NODE_OPTIONS: `--conditions=modules --import=${pathToFileURL(ENTRY).href}`,
    ...(canary === undefined ? {} : { FAULTS_CANARY: canary }),
    ...(control === undefined ? {} : { FAULTS_CONTROL: control }),
  }
}
