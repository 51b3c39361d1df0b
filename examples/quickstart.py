from sklearn import datasets, model_selection, svm

import hpo_core as hpo

images, digits = datasets.load_digits(return_X_y=True)
gamma = hpo.Float(1e-6, 1e-1, log=True)
kernels = {"linear": {}, "rbf": {"gamma": gamma}, "poly": {"gamma": gamma, "degree": hpo.Int(2, 5)}}
space = {"C": hpo.Float(1e-3, 1e3, log=True), "kernel": hpo.Categorical(kernels)}


def accuracy(trial):  # trial.params holds the active parameters: no gamma if the kernel is linear
    return model_selection.cross_val_score(svm.SVC(**trial.params), images, digits, cv=3).mean()


study = hpo.Study(space, direction="maximize", seed=0)
study.optimize(accuracy, n_trials=50)
print(f"best accuracy {study.best_value:.4f} with {study.best_params}")
