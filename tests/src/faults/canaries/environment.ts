/**
 * How a known bug gets into a node without being in its packages: Node.js loads the second entry of
 * this folder before the program, in the coordinator and in each child.
 */
import { fileURLToPath, pathToFileURL } from 'node:url'

const ENTRY = fileURLToPath(new URL('child-entry.js', import.meta.url))

/** What the environment of a node must hold for this bug to be in it. */
export function environmentWith(
  canary: string | undefined,
  seed: number,
): Readonly<Record<string, string>> {
  if (canary === undefined) return {}
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(ENTRY).href}`,
    FAULTS_CANARY: canary,
    FAULTS_SEED: String(seed),
  }
}
