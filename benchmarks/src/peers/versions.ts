/** What is compared, exactly: versions of packages and programs as they are installed here. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const VERSION = /\d+\.\d+\.\d+/

/** Name and version of an npm package that this one depends on. */
export function packageVersion(name: string): string {
  // Most packages do not export their `package.json`, so it is looked for above what they export.
  for (let place = new URL('.', import.meta.resolve(name)); ; place = new URL('..', place)) {
    const found = readPackage(new URL('package.json', place))
    if (found?.name === name) return `${name} ${found.version}`
    if (place.pathname === '/') throw new Error(`${name} has no package.json`)
  }
}

/** What a program says its version is. Rejects with code `ENOENT` if it is not installed. */
export async function programVersion(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'])
  const version = VERSION.exec(stdout)
  if (version === null) throw new Error(`${program} --version does not say it: ${stdout}`)
  return version[0]
}

function readPackage(url: URL): { readonly name?: string; readonly version: string } | undefined {
  try {
    return JSON.parse(readFileSync(url, 'utf8')) as { name?: string; version: string }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
