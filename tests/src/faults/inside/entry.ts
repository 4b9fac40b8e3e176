/**
 * Loaded by Node.js before the program of a coordinator or a child. Nothing in the packages knows of
 * it: it replaces methods of their classes in this process, to put in a known bug, to end or stop the
 * process at a named point, or to make files fail.
 */
import { DiskFaults } from '../disk/disk-faults.js'
import { installFailpoints } from '../failpoints/install.js'
import { Trigger } from '../failpoints/trigger.js'
import { installFileLayer, installTopologyFileLayer } from './file-layer.js'
import { forgetCrashLoops } from './no-crash-loop.js'
import { type Role, roleOfProcess } from './role.js'

const role = roleOfProcess()
const { FAULTS_CANARY: canary, FAULTS_CONTROL: control } = process.env

/** A child hears of it by the environment that it is forked with. */
function coordinatorOf(own: Role): number {
  if (own === 'coordinator') process.env['FAULTS_COORDINATOR'] = String(process.pid)
  return Number(process.env['FAULTS_COORDINATOR'])
}

if (role !== undefined && control !== undefined) {
  const disk = new DiskFaults(control, role)
  const trigger = new Trigger(control, coordinatorOf(role))
  const intercepting = await installFailpoints(role, trigger)
  // A call that fails never reaches the point after it.
  const interceptors = [intercepting, disk.interceptor]
  if (role === 'child') await installFileLayer(interceptors)
  else {
    installTopologyFileLayer(interceptors)
    await forgetCrashLoops()
  }
}
if (role !== undefined && canary !== undefined) {
  // Each process starts some hundred times: it reads what it needs.
  const { CANARIES } = await import('../canaries/canaries.js')
  const found = CANARIES[canary]
  if (found === undefined) throw new Error(`there is no canary ${canary}`)
  await (role === 'child' ? found.release() : found.releaseInCoordinator?.())
}
