/**
 * A disk of a few megabytes, to be filled: a tmpfs, where the system lets a test mount one.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class SmallDisk {
  readonly directory: string
  private readonly ballast: string

  private constructor(directory: string) {
    this.directory = directory
    this.ballast = join(directory, 'ballast')
  }

  /** Why there can be none here; undefined if there can. */
  static whyNot(): string | undefined {
    if (process.platform !== 'linux') return `no tmpfs on ${process.platform}`
    const directory = mkdtempSync(join(tmpdir(), 'kv-tests-disk-'))
    const failure = mount(directory, 1)
    if (failure === undefined) unmount(directory)
    rmSync(directory, { recursive: true, force: true })
    return failure
  }

  static mount(megabytes: number): SmallDisk {
    const directory = mkdtempSync(join(tmpdir(), 'kv-tests-disk-'))
    const failure = mount(directory, megabytes)
    if (failure !== undefined) throw new Error(failure)
    return new SmallDisk(directory)
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.directory)
    return bavail * bsize
  }

  /** Takes all but this much away. */
  fillBut(bytes: number): void {
    writeFileSync(this.ballast, Buffer.alloc(Math.max(0, this.freeBytes - bytes)))
  }

  /** Gives it back. */
  makeRoom(): void {
    rmSync(this.ballast)
  }

  unmount(): void {
    unmount(this.directory)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function mount(directory: string, megabytes: number): string | undefined {
  const options = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', directory]
  const { status, stderr, error } = spawnSync('mount', options, { encoding: 'utf8' })
  if (status === 0) return undefined
  return `no disk can be mounted: ${error?.message ?? stderr.trim()}`
}

function unmount(directory: string): void {
  // Lazily: whatever still holds a file of it must not keep the test machine from being tidy.
  spawnSync('umount', ['-l', directory])
}
