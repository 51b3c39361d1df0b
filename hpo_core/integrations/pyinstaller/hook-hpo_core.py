"""PyInstaller's hook for hpo_core; PyInstaller reads the two names."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

# A frozen program has the compiled code. Its numba twin would bring numba and LLVM with it.
hiddenimports = collect_submodules("hpo_core", filter=lambda name: "numba_backend" not in name)
datas = collect_data_files("hpo_core")
