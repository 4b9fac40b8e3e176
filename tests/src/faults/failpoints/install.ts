/**
 * Puts the failpoints of a process into it: methods of the built node tell when they begin and when
 * they have ended well, and the file layer tells of calls to the disk.
 */
import { classOf, prototypeOf, replace, type Method } from '../inside/built.js'
import type { FileCall, Interceptor } from '../inside/file-layer.js'
import type { Role } from '../inside/role.js'
import { FAILPOINTS, type Failpoint, type FilePlace, type MethodPlace } from './failpoints.js'

export interface Passes {
  pass(point: string): void
}

/** Throws if the place of any point is not there any more. Returns what hears of calls to the disk. */
export async function installFailpoints(
  role: Role,
  passes: Passes,
  points: readonly Failpoint[] = FAILPOINTS,
): Promise<Interceptor> {
  const own = points.filter((point) => point.role === role)
  for (const point of own) {
    if (point.place.type === 'method') await installMethod(point, point.place, passes)
  }
  const onFiles = own.filter(({ place }) => place.type === 'file')
  return async (call, proceed) => {
    const here = onFiles.filter(({ place }) => isCallOf(place as FilePlace, call))
    for (const { name, moment } of here) if (moment === 'before') passes.pass(name)
    const result = await proceed()
    for (const { name, moment } of here) if (moment === 'after') passes.pass(name)
    return result
  }
}

function isCallOf({ operation, target, isOpening }: FilePlace, call: FileCall): boolean {
  if (operation !== call.operation || target !== call.target) return false
  return isOpening === undefined || isOpening === call.isOpening
}

async function installMethod(
  { name, moment }: Failpoint,
  { file, of, method, isStatic = false, when = () => true }: MethodPlace,
  passes: Passes,
): Promise<void> {
  const make = (real: Method): Method =>
    function passing(this: unknown, ...args) {
      if (!when(this, args)) return real.apply(this, args)
      if (moment === 'before') {
        passes.pass(name)
        return real.apply(this, args)
      }
      const result = real.apply(this, args)
      if (!(result instanceof Promise)) {
        passes.pass(name)
        return result
      }
      return result.then((value: unknown) => {
        passes.pass(name)
        return value
      })
    }
  replace(isStatic ? await classOf(file, of) : await prototypeOf(file, of), method, make)
}
