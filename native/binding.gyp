# Three addons: `fastio` (file primitives; needs nothing but the kernel), `transfer` (digests, disk data; the kernel and
# Node's own OpenSSL) and `virt` (libvirt). build.mjs sets the variables: `with_virt` where libvirt's headers are
# present, `blake3` with the folder of BLAKE3's C sources where they are, `with_zstd` where libzstd's headers are, `asan` for the sanitizer build.
{
  "variables": { "with_virt%": 0, "blake3%": "", "with_zstd%": 0, "asan%": 0 },
  "target_defaults": {
    "include_dirs": [
      "<!@(node -p \"require('node-addon-api').include\")",
      "src/common"
    ],
    "defines": [
      "NAPI_VERSION=9",
      "NAPI_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
      # Without this, terminating a worker_thread during a call kills the whole process.
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      "_GNU_SOURCE",
      "_FILE_OFFSET_BITS=64"
    ],
    "cflags_cc": ["-std=c++17", "-fexceptions", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type", "-fvisibility=hidden", "-fno-gnu-unique"],
    # Node unloads an addon with the last worker_thread that used it; our threads would go on in unmapped code.
    "ldflags": ["-Wl,-z,nodelete"],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++20", "-std=gnu++17"],
    "conditions": [
      ["asan==1", {
        "cflags_cc": ["-fsanitize=address", "-fno-omit-frame-pointer", "-g", "-O1"],
        "cflags_cc!": ["-O3"],
        "ldflags": ["-fsanitize=address"]
      }]
    ]
  },
  "targets": [
    {
      # Each addon has a copy of its own of all that is in here, and of its state.
      "target_name": "common",
      "type": "static_library",
      "cflags": ["-fPIC"],
      "sources": [
        "src/common/arguments.cc",
        "src/common/async_call.cc",
        "src/common/data_ranges.cc",
        "src/common/diagnostics.cc",
        "src/common/env_state.cc",
        "src/common/failure.cc",
        "src/common/worker_pool.cc"
      ]
    },
    {
      "target_name": "fastio",
      "dependencies": ["common"],
      "sources": [
        "src/fastio/addon.cc",
        "src/fastio/extents.cc",
        "src/fastio/facts.cc",
        "src/fastio/locks.cc",
        "src/fastio/names.cc",
        "src/fastio/notify.cc",
        "src/fastio/ranges.cc"
      ]
    },
    {
      "target_name": "transfer",
      "dependencies": ["common"],
      "include_dirs": ["src/digest"],
      "sources": [
        "src/common/openssl_use.cc",
        "src/common/serial_jobs.cc",
        "src/common/sparse_write.cc",
        "src/digest/digest_tree.cc",
        "src/digest/file_leaves.cc",
        "src/digest/hash.cc",
        "src/digest/tree_object.cc",
        "src/transfer/addon.cc",
        "src/transfer/ask_javascript.cc",
        "src/transfer/compression.cc",
        "src/transfer/connection.cc",
        "src/transfer/connection_object.cc",
        "src/transfer/frame.cc",
        "src/transfer/leaf_writer.cc",
        "src/transfer/leaf_zstd.cc",
        "src/transfer/listener.cc",
        "src/transfer/listener_object.cc",
        "src/transfer/part_file.cc",
        "src/transfer/part_objects.cc",
        "src/transfer/queue_objects.cc",
        "src/transfer/record_key.cc",
        "src/transfer/segment_queue.cc",
        "src/transfer/sockets.cc",
        "src/transfer/source_connection.cc",
        "src/transfer/stoppable_socket.cc",
        "src/transfer/target_connection.cc",
        "src/transfer/tls_context.cc",
        "src/transfer/tls_handshake.cc",
        "src/transfer/tls_stream.cc",
        "src/transfer/token_bucket.cc",
        "src/transfer/transfer_failure.cc"
      ],
      "conditions": [
        ["with_zstd==1", {
          "defines": ["FERRY_ZSTD"],
          "include_dirs": ["<!@(pkg-config --cflags-only-I libzstd | sed s/-I//g)"],
          # Where Node has a zstd of its own, that one is found first; its calls are the same.
          "libraries": ["<!@(pkg-config --libs libzstd)"]
        }],
        ["blake3!=''", {
          "defines": ["FERRY_BLAKE3"],
          "include_dirs": ["<(blake3)"],
          "sources": ["<(blake3)/blake3.c", "<(blake3)/blake3_dispatch.c", "<(blake3)/blake3_portable.c"],
          "conditions": [
            ["target_arch=='x64'", {
              "sources": [
                "<(blake3)/blake3_sse2_x86-64_unix.S",
                "<(blake3)/blake3_sse41_x86-64_unix.S",
                "<(blake3)/blake3_avx2_x86-64_unix.S",
                "<(blake3)/blake3_avx512_x86-64_unix.S"
              ]
            }],
            ["target_arch=='arm64'", { "sources": ["<(blake3)/blake3_neon.c"] }]
          ]
        }]
      ]
    }
  ],
  "conditions": [
    ["with_virt==1", {
      "targets": [
        {
          "target_name": "virt",
          "dependencies": ["common"],
          "include_dirs": ["<!@(pkg-config --cflags-only-I libvirt | sed s/-I//g)"],
          "libraries": ["<!@(pkg-config --libs libvirt)"],
          "sources": [
            "src/virt/addon.cc",
            "src/virt/connect.cc",
            "src/virt/connect_domains.cc",
            "src/virt/connect_resources.cc",
            "src/virt/domain.cc",
            "src/virt/domain_jobs.cc",
            "src/virt/domain_queries.cc",
            "src/virt/event_loop.cc",
            "src/virt/handles.cc",
            "src/virt/libvirt_failure.cc",
            "src/virt/storage_pool.cc",
            "src/virt/subscriptions.cc",
            "src/virt/typed_params.cc"
          ]
        }
      ]
    }]
  ]
}
