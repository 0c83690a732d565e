/** What a host's hardware says in Placement's standard words, so that flavors can ask for it by `trait:…=required`. */

import type { HostHardware } from "../../proto/gen/ferry/v1/host.js";

/** The kernel's flag → the trait of os-traits. */
const X86_FLAGS: Readonly<Record<string, string>> = {
  abm: "ABM",
  aes: "AESNI",
  avx: "AVX",
  avx2: "AVX2",
  avx512bw: "AVX512BW",
  avx512cd: "AVX512CD",
  avx512dq: "AVX512DQ",
  avx512er: "AVX512ER",
  avx512f: "AVX512F",
  avx512pf: "AVX512PF",
  avx512vl: "AVX512VL",
  avx512_vnni: "AVX512VNNI",
  avx512ifma: "AVX512IFMA",
  avx512vbmi: "AVX512VBMI",
  bmi1: "BMI",
  bmi2: "BMI2",
  clflushopt: "CLFLUSHOPT",
  f16c: "F16C",
  fma: "FMA3",
  fma4: "FMA4",
  gfni: "AVX512GFNI",
  mmx: "MMX",
  mpx: "MPX",
  pclmulqdq: "CLMUL",
  sgx: "SGX",
  sha_ni: "SHA",
  sse: "SSE",
  sse2: "SSE2",
  pni: "SSE3",
  sse4_1: "SSE41",
  sse4_2: "SSE42",
  sse4a: "SSE4A",
  ssse3: "SSSE3",
  svm: "SVM",
  tbm: "TBM",
  vmx: "VMX",
  xop: "XOP",
};

export function hardwareTraits(hardware: HostHardware | undefined): string[] {
  if (hardware === undefined) return [];
  const { architecture, cpuFlags, threadsPerCore } = hardware;
  const ofCpu = cpuFlags.flatMap(flag => {
    const name = Object.hasOwn(X86_FLAGS, flag) ? X86_FLAGS[flag] : undefined;
    return name === undefined ? [] : [`HW_CPU_X86_${name}`];
  });
  return [
    ...ofCpu,
    ...(architecture === undefined ? [] : [`HW_ARCH_${architecture.toUpperCase()}`]),
    ...(threadsPerCore !== undefined && threadsPerCore > 1 ? ["HW_CPU_HYPERTHREADING"] : []),
  ].sort();
}
