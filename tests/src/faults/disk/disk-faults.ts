/**
 * A bad disk under logs, journals and the topology: what the nemesis writes into the control file
 * holds until it says something else. Reads are left alone, and so is LMDB, which makes its calls by
 * itself; the bad disk of LMDB is a real one that is full.
 */
import { join, sep } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SeededRandom } from '../../load/seeded-random.js'
import { followControl } from '../inside/control-file.js'
import type { FileCall, FileOperation, FileTarget, Interceptor } from '../inside/file-layer.js'
import type { Role } from '../inside/role.js'

export type DiskEffect =
  | { readonly type: 'slow'; readonly ms: number }
  /** Calls made meanwhile end when the fault does. */
  | { readonly type: 'hang' }
  /** An I/O error. What was to be written may be there, in part, or not. */
  | { readonly type: 'fail' }
  /** No room: what would grow a file fails. */
  | { readonly type: 'full' }
  /** Writes take less than they were given, and say so. */
  | { readonly type: 'short' }

export interface DiskFault {
  readonly effect: DiskEffect
  readonly operations: readonly FileOperation[]
  readonly targets: readonly FileTarget[]
  /** Only what lies in this directory: one disk of several. */
  readonly under?: string
  /** One of so many calls is met. */
  readonly oneIn: number
  readonly seed: number
}

export const DISK = 'disk.json'

export class DiskFaults {
  private fault: DiskFault | undefined
  private random = new SeededRandom(0)
  /** Resolves when the fault ends. */
  private over: Promise<void> = Promise.resolve()
  private onOver: () => void = () => undefined

  constructor(control: string, role: Role) {
    followControl<DiskFault>(control, DISK, (fault) => {
      this.onOver()
      this.fault = fault
      if (fault === undefined) return
      this.random = new SeededRandom(fault.seed + (role === 'child' ? process.pid : 0))
      this.over = new Promise((resolve) => {
        this.onOver = resolve
      })
    })
  }

  readonly interceptor: Interceptor = async (call, proceed) => {
    const { fault } = this
    if (fault === undefined || !this.isMet(fault, call)) return proceed()
    switch (fault.effect.type) {
      case 'slow':
        await delay(fault.effect.ms)
        return proceed()
      case 'hang':
        await this.over
        return proceed()
      case 'fail':
        return this.fail(call, proceed)
      case 'full':
        if (isGrowth(call)) throw ioError('ENOSPC', call)
        return proceed()
      case 'short':
        return proceed(call.operation === 'write' ? 1 + this.random.below(4_096) : undefined)
    }
  }

  private isMet({ operations, targets, under, oneIn }: DiskFault, call: FileCall): boolean {
    if (!operations.includes(call.operation) || !targets.includes(call.target)) return false
    if (under !== undefined && !call.path.startsWith(join(under, sep))) return false
    return this.random.below(oneIn) === 0
  }

  private async fail(
    call: FileCall,
    proceed: (part?: number) => Promise<unknown>,
  ): Promise<unknown> {
    const choice = this.random.below(3)
    if (choice === 1) await proceed()
    if (choice === 2 && call.operation === 'write') await proceed(this.random.below(512))
    throw ioError('EIO', call)
  }
}

/** Blocks that a durable file has are its own. */
function isGrowth({ operation, isDurable }: FileCall): boolean {
  if (operation === 'write') return !isDurable
  return operation === 'open' && !isDurable
}

function ioError(code: 'EIO' | 'ENOSPC', { operation, path }: FileCall): Error {
  const error = new Error(`${code}: a fault of the test, ${operation} '${path}'`)
  return Object.assign(error, { code, syscall: operation, path })
}
