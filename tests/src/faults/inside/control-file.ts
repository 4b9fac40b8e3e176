/**
 * One file by which the nemesis tells the processes of a node something while they run. They look at
 * it when it changes; to be written in one step, by a rename.
 */
import { readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Calls `onChange` with what the file says now, and whenever that changes; `undefined`: no file. */
export function followControl<Content>(
  directory: string,
  name: string,
  onChange: (content: Content | undefined) => void,
): void {
  const path = join(directory, name)
  let lastText: string | undefined
  const look = (): void => {
    const text = readIfThere(path)
    if (text === lastText) return
    lastText = text
    onChange(text === undefined ? undefined : (JSON.parse(text) as Content))
  }
  watch(directory, { persistent: false }, look)
  look()
}

export function writeControl(directory: string, name: string, content: unknown): void {
  const beside = join(directory, `${name}.${process.pid}.new`)
  writeFileSync(beside, JSON.stringify(content))
  renameSync(beside, join(directory, name))
}

export function removeControl(directory: string, name: string): void {
  rmSync(join(directory, name), { force: true })
}

export function readControl<Content>(directory: string, name: string): Content | undefined {
  const text = readIfThere(join(directory, name))
  return text === undefined ? undefined : (JSON.parse(text) as Content)
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
